"""From an interaction to its rows: one nested record, or rows for three tables.

Both forms hold all that was sent, and hold it in a fixed order, so that the same body gives the
same bytes. A key `extra` is there only where the API sent fields that we do not know, and is last.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from worker.domain.bands import Bands
from worker.domain.entry import Entry
from worker.domain.reply import Interaction, Said
from worker.domain.verdict import Stage, Verdict

SCHEMA_VERSION = 2
"""Grows when a reader of the rows would have to change."""

PARTICIPANTS = ("all_participants", "participant_one", "participant_two")

RECORDS = "records"
INTERACTIONS = "interactions"
SCORES = "scores"
SEGMENTS = "segments"
FAILURES = "failures"


class Shape(StrEnum):
    """How a result is laid out in lines."""

    NESTED = "nested"
    TABLES = "tables"


PART_SETS: Mapping[Shape, tuple[str, ...]] = {
    Shape.NESTED: (RECORDS, FAILURES),
    Shape.TABLES: (INTERACTIONS, SCORES, SEGMENTS, FAILURES),
}
"""The sets of parts that a shape writes; the rows of a set have the same columns."""

Row = dict[str, Any]


def stamped(interaction_id: str, retrieved_at: str, run_id: str) -> Row:
    """Return the columns with which every row begins."""
    return {
        "interaction_id": interaction_id,
        "schema_version": SCHEMA_VERSION,
        "retrieved_at": retrieved_at,
        "run_id": run_id,
    }


def nested(stamp: Row, interaction: Interaction, bands: Bands | None) -> Row:
    """Return the one row of an interaction. With `bands`, each model gets its band, in place."""
    participants = interaction.participants
    if bands is not None:
        for name in PARTICIPANTS:
            for bundle in _list(participants[name], "enlighten_bundles"):
                for model in _list(bundle, "models"):
                    _add_band(model, bundle["name"], model["name"], bands)
    return {**stamp, **participants}


def tables(stamp: Row, interaction: Interaction, bands: Bands | None) -> dict[str, list[Row]]:
    """Return the rows of an interaction by table; `interactions` has exactly one.

    `scores` has one per participant, bundle and model, `segments` one per participant and segment.
    What makes no row there (a bundle without models, null instead of an empty list) can be told
    from the row of the interaction.
    """
    participants = interaction.participants
    scores: list[Row] = []
    segments: list[Row] = []
    for name in PARTICIPANTS:
        scores += _scores(stamp, name, participants[name], bands)
        segments += _segments(stamp, name, participants[name])
    row = {
        **stamp,
        **{name: _summary(participants[name]) for name in PARTICIPANTS},
        **_extra(participants),
    }
    return {INTERACTIONS: [row], SCORES: scores, SEGMENTS: segments}


def failed(
    stamp: Row,
    entry: Entry,
    verdict: Verdict,
    reason: str,
    *,
    stage: Stage,
    attempts: int,
    said: Said,
) -> Row:
    """Return the row that lists an ID without a record."""
    return {
        **stamp,
        "verdict": verdict,
        "reason": reason,
        "stage": stage,
        "attempts": attempts,
        "api_status": said.status,
        "api_message": said.message,
        "api_state": said.state,
        "source": entry.source,
        "line": entry.line,
    }


def _scores(
    stamp: Row, participant_name: str, participant: Row | None, bands: Bands | None
) -> Iterator[Row]:
    for bundle_index, bundle in enumerate(_list(participant, "enlighten_bundles")):
        for model_index, model in enumerate(_list(bundle, "models")):
            row = {
                **stamp,
                "participant": participant_name,
                "bundle": bundle["name"],
                "bundle_index": bundle_index,
                "model": model["name"],
                "model_index": model_index,
                **model,
            }
            del row["name"]
            if bands is not None:
                _add_band(row, row["bundle"], row["model"], bands)
            yield row


def _segments(stamp: Row, participant_name: str, participant: Row | None) -> Iterator[Row]:
    for index, segment in enumerate(_list(participant, "voice_activity_segments")):
        yield {
            **stamp,
            "participant": participant_name,
            "segment_index": index,
            **segment,
        }


def _summary(participant: Row | None) -> Row | None:
    if participant is None:
        return None
    bundles = participant["enlighten_bundles"]
    if bundles is not None:
        bundles = [
            {"name": bundle["name"], "models": _count(bundle["models"]), **_extra(bundle)}
            for bundle in bundles
        ]
    segments = _count(participant["voice_activity_segments"])
    return {"bundles": bundles, "segments": segments, **_extra(participant)}


def _add_band(scored: Row, bundle: str | None, model: str | None, bands: Bands) -> None:
    extra = _extra(scored)
    scored.pop("extra", None)
    scored["band"] = bands.band(bundle, model, scored["score"])
    scored.update(extra)


def _list(owner: Row | None, key: str) -> list[Row]:
    return [] if owner is None else owner[key] or []


def _count(elements: list[Row] | None) -> int | None:
    return None if elements is None else len(elements)


def _extra(owner: Row) -> Row:
    return {"extra": owner["extra"]} if "extra" in owner else {}
