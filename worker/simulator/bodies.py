"""The JSON that the simulated API sends: in the API's shape, made up, the same for a seed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

import orjson

VARIANTS = 64
"""How many results there are. Many IDs share one, so that each is built and compressed once."""

_CUSTOMER_SATISFACTION = (
    "AcknowledgeLoyalty",
    "ActiveListening",
    "BeEmpathetic",
    "BuildRapport",
    "DemonstrateOwnership",
    "EffectiveQuestioning",
    "InappropriateAction",
    "OverallSentiment",
    "PromoteSelfService",
    "SetExpectations",
)
_VULNERABLE_CUSTOMER = ("FinancialHardship", "HealthConcern", "VulnerableCustomer")
_SALES_EFFECTIVENESS = (
    "AskForTheSale",
    "ConfirmNextSteps",
    "CreateUrgency",
    "DiscoverNeeds",
    "HandleObjections",
    "PresentOffer",
    "PositionValue",
)
_BUNDLES: Mapping[str, tuple[str, ...]] = {
    "Customer Satisfaction": _CUSTOMER_SATISFACTION,
    "Vulnerable Customer": _VULNERABLE_CUSTOMER,
    "Sales Effectiveness": _SALES_EFFECTIVENESS,
}

# Of 16 variants one is a short chat, two are calls recorded on one channel, ten are calls of a few
# minutes and three are long ones: about 2, 5, 20 and 40-60 kB.
_CHAT_BELOW, _MONO_BELOW, _LONG_FROM = 1, 3, 13

_FIRST_DECLARED = datetime(2026, 1, 5, 8, tzinfo=UTC)


@lru_cache(maxsize=4 * VARIANTS)
def result_json(seed: int, variant: int) -> bytes:
    """Return the result that is the variant (from 0, below VARIANTS) of this seed."""
    draw = Random(f"{seed}:{variant}")  # noqa: S311 - reproducible on purpose, keeps no secret
    size = variant % 16
    if size < _CHAT_BELOW:
        return orjson.dumps(_chat(draw))
    if size < _MONO_BELOW:
        return orjson.dumps(one_channel(draw))
    segments = draw.randrange(150, 330) if size >= _LONG_FROM else draw.randrange(20, 70)
    return orjson.dumps(two_channels(draw, segments))


def status_json(interaction_id: str, status: str, draw: float, error: str | None = None) -> bytes:
    """Return what /status says; `draw` in [0, 1) chooses the day and hour, within 30 days."""
    declared = _FIRST_DECLARED + timedelta(seconds=int(draw * 30 * 86_400))
    under_way, processed = status == "processing", status == "processed"
    return orjson.dumps(
        {
            "identifier": interaction_id,
            "status": status,
            "declared": declared,
            "uploaded": declared + timedelta(seconds=20),
            "downloaded": None if under_way else declared + timedelta(seconds=35),
            "processed": declared + timedelta(seconds=300) if processed else None,
            "errorMessage": error,
        },
        option=orjson.OPT_UTC_Z,
    )


def error_json(status: int, message: str) -> bytes:
    """Return the body of an error."""
    return orjson.dumps({"status": status, "message": message})


def one_channel(draw: Random) -> dict[str, Any]:
    """Return the result of a call recorded on one channel: about 5 kB as JSON."""
    duration = draw.randrange(60_000, 600_000)
    return {
        "allParticipants": _participant(_bundles(draw, _BUNDLES, duration), None),
        "participantOne": _participant([], []),
        "participantTwo": _participant([], None),
    }


def two_channels(draw: Random, segments: int) -> dict[str, Any]:
    """Return the result of a call with as many segments a side: 14 kB, and 130 bytes for each."""
    duration = segments * 6_000
    mixed, one, two = (_bundles(draw, _BUNDLES, duration) for _ in range(3))
    return {
        "allParticipants": _participant(mixed, None),
        "participantOne": _participant(one, _segments(draw, segments)),
        "participantTwo": _participant(two, _segments(draw, segments)),
    }


def _chat(draw: Random) -> dict[str, Any]:
    models = {"Customer Satisfaction": draw.sample(_CUSTOMER_SATISFACTION, 7)}
    return {
        "allParticipants": _participant(_bundles(draw, models, 240_000), None),
        "participantOne": _participant([], None),
        "participantTwo": _participant([], None),
    }


def _participant(bundles: list[Any], segments: list[Any] | None) -> dict[str, Any]:
    return {"enlightenBundles": bundles, "voiceActivitySegments": segments}


def _bundles(
    draw: Random, names: Mapping[str, list[str] | tuple[str, ...]], duration: int
) -> list[Any]:
    return [
        {"name": bundle, "models": [_model(draw, name, duration) for name in models]}
        for bundle, models in names.items()
    ]


def _model(draw: Random, name: str, duration: int) -> dict[str, Any]:
    score = draw.uniform(-7, 7)
    quarters = {f"quartile{n}": round(score + draw.uniform(-3, 3), 7) for n in (1, 2, 3, 4)}
    return {
        "name": name,
        "score": round(score, 7),
        "minScore": round(score - draw.uniform(0, 4), 7),
        "minScoreOffset": draw.randrange(duration),
        "maxScore": round(score + draw.uniform(0, 4), 7),
        "maxScoreOffset": draw.randrange(duration),
    } | quarters


def _segments(draw: Random, count: int) -> list[Any]:
    segments, start, results = [], 0, ("voice", "silence")
    for n in range(count):
        end = start + draw.randrange(200, 9_000)
        segments.append({"startTimeOffset": start, "endTimeOffset": end, "result": results[n % 2]})
        start = end
    return segments
