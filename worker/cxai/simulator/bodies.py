"""The JSON that the simulated API sends: in the API's shape, made up, the same for a seed."""

import struct
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

import orjson

VARIANTS = 64
"""How many results there are. Many IDs share one, so that each is built and compressed once."""

# fmt: off
_MODELS: Mapping[str, list[str]] = {
    "Customer Satisfaction": [
        "AcknowledgeLoyalty", "ActiveListening", "BeEmpathetic", "BuildRapport",
        "DemonstrateOwnership", "EffectiveQuestioning", "InappropriateAction", "Interruption",
        "PromoteSelfService", "Sentiment", "SetExpectations", "SpeechVelocity",
    ],
    "Vulnerable Customer": ["FinancialHardship", "HealthConcern", "VulnerableCustomer"],
    "Sales Effectiveness": [
        "AcknowledgeRequest", "AskForTheSale", "DemonstrateEmpathy", "LikelihoodToBuy",
        "MakeAConnection", "OrderConfirmation", "OvercomeObjections", "PresumptiveSelling",
        "UncoverNeeds",
    ],
}
# fmt: on

# Of 16 variants one is a short chat, two are calls recorded on one channel, ten are calls of a few
# minutes and three are long ones: about 2, 5, 20 and 40-60 kB.
_CHAT_BELOW, _MONO_BELOW, _LONG_FROM = 1, 3, 13

# The magnitudes that the vendor has published.
_LEAST_SCORE, _MOST_SCORE = 0.39, 6.55

_PARTICIPANTS = ("allParticipants", "participantOne", "participantTwo")
_SINGLE = struct.Struct("<f")


@lru_cache(maxsize=4 * VARIANTS)
def result_json(seed: int, variant: int) -> bytes:
    """Return the result of this seed and variant (from 0, below VARIANTS)."""
    draw = Random(f"{seed}:{variant}")  # noqa: S311 - reproducible on purpose, keeps no secret
    size = variant % 16
    parts: list[tuple[list[Any], list[Any] | None]]
    if size < _CHAT_BELOW:
        models = {"Customer Satisfaction": draw.sample(_MODELS["Customer Satisfaction"], 7)}
        parts = [(_bundles(draw, models, 240_000), None), ([], None), ([], None)]
    elif size < _MONO_BELOW:
        bundles = _bundles(draw, _MODELS, draw.randrange(60_000, 600_000))
        parts = [(bundles, None), ([], []), ([], None)]
    else:
        count = draw.randrange(110, 220) if size >= _LONG_FROM else draw.randrange(8, 40)
        spoken = [_bundles(draw, _MODELS, count * 6_000) for _ in range(3)]
        parts = [(bundles, _segments(draw, count)) for bundles in spoken]
    return orjson.dumps(
        {
            name: {"enlightenBundles": bundles, "voiceActivitySegments": segments}
            for name, (bundles, segments) in zip(_PARTICIPANTS, parts, strict=True)
        }
    )


def error_json(message: str) -> bytes:
    """Return the body of an error."""
    return orjson.dumps({"errorMessage": message})


def _bundles(draw: Random, models: Mapping[str, list[str]], duration: int) -> list[Any]:
    return [
        {"name": bundle, "models": [_model(draw, name, duration) for name in names]}
        for bundle, names in models.items()
    ]


def _model(draw: Random, name: str, duration: int) -> dict[str, Any]:
    lowest, overall, highest = sorted(_score(draw) for _ in range(3))
    return {
        "name": name,
        "score": overall,
        "minScore": lowest,
        "minScoreOffset": draw.randrange(duration),
        "maxScore": highest,
        "maxScoreOffset": draw.randrange(duration),
        **{f"quartile{n}": _score(draw) for n in (1, 2, 3, 4)},
    }


def _score(draw: Random) -> float:
    """Return a 32-bit float as the double that is written with the fewest digits."""
    (score,) = _SINGLE.unpack(
        _SINGLE.pack(draw.choice((-1, 1)) * draw.uniform(_LEAST_SCORE, _MOST_SCORE))
    )
    for digits in range(6, 9):
        if _SINGLE.pack(shorter := float(f"{score:.{digits}g}")) == _SINGLE.pack(score):
            return shorter
    return float(f"{score:.9g}")


def _segments(draw: Random, count: int) -> list[Any]:
    segments, start, results = [], 0, ("voice", "silence")
    for n in range(count):
        end = start + draw.randrange(200, 9_000)
        segments.append({"startTimeOffset": start, "endTimeOffset": end, "result": results[n % 2]})
        start = end
    return segments
