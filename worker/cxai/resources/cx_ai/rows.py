"""From an interaction to its rows: one nested record, or rows for three tables.

Both shapes hold everything that was sent, in a fixed order. In a nested record, an object has the
key `extra`, as its last, only if the API sent unknown fields. All rows of a table have the same
columns, and none holds an object: values without a fixed type are JSON as text.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.form import PARTICIPANTS, Interaction
from cxai.resources.cx_ai.layout import INTERACTIONS, SCORES, SEGMENTS
from cxai.resources.lines import Row, as_text


def nested(stamp: Row, interaction: Interaction, bands: Bands | None) -> Row:
    """Return the one row of an interaction. With `bands`, each model gets its band, in place."""
    participants = interaction.participants
    if bands is not None:
        for name in PARTICIPANTS:
            for bundle in _list(participants[name], "enlighten_bundles"):
                for model in _list(bundle, "models"):
                    _add_band(model, bundle["name"], bands)
    return {**stamp, **participants}


def tables(interaction: Interaction, bands: Bands | None) -> dict[str, list[Row]]:
    """Return the rows of an interaction by table, without the columns of `stamped`.

    `interactions` has exactly one row, `scores` one per participant, bundle and model, `segments`
    one per participant and segment. The row of the interaction shows what has no row there, such as
    a bundle without models, or null instead of an empty list. `band` is null without `bands`.
    """
    participants = interaction.participants
    scores: list[Row] = []
    segments: list[Row] = []
    row: Row = {}
    for name in PARTICIPANTS:
        participant = participants[name]
        scores += _scores(name, participant, bands)
        segments += _segments(name, participant)
        row |= no_participant(name) if participant is None else _summary(name, participant)
    row["extra"] = _extra_as_text(participants)
    return {INTERACTIONS: [row], SCORES: scores, SEGMENTS: segments}


def _scores(name: str, participant: Row | None, bands: Bands | None) -> Iterator[Row]:
    for bundle_index, bundle in enumerate(_list(participant, "enlighten_bundles")):
        for model_index, model in enumerate(_list(bundle, "models")):
            row = {
                "participant": name,
                "bundle": bundle["name"],
                "bundle_index": bundle_index,
                "model": model["name"],
                "model_index": model_index,
                **model,
            }
            del row["name"]
            row.pop("extra", None)
            row["band"] = bands and bands.band(bundle["name"], model["name"], model["score"])
            row["extra"] = _extra_as_text(model)
            yield row


def _segments(name: str, participant: Row | None) -> Iterator[Row]:
    for index, segment in enumerate(_list(participant, "voice_activity_segments")):
        begin = {"participant": name, "segment_index": index}
        yield {**begin, **segment, "extra": _extra_as_text(segment)}


def summary(
    name: str, bundles: Sequence[Row] | None, segments: int | None, extra: str | None
) -> Row:
    """Return the columns for what the tables of scores and segments don't show of a participant.

    `bundles` have their name, number of models and unknown fields.
    """
    return {
        f"{name}_present": True,
        f"{name}_bundles": count(bundles),
        f"{name}_models": None if bundles is None else sum(b["models"] or 0 for b in bundles),
        f"{name}_segments": segments,
        f"{name}_bundle_list": None if bundles is None else as_text(bundles),
        f"{name}_extra": extra,
    }


def no_participant(name: str) -> Row:
    """Return the same columns of a participant that is null or absent."""
    return {**dict.fromkeys(summary(name, None, None, None)), f"{name}_present": False}


def count(elements: Sequence[Any] | None) -> int | None:
    """Return the number of elements; None for null."""
    return None if elements is None else len(elements)


def _summary(name: str, participant: Row) -> Row:
    bundles = participant["enlighten_bundles"]
    return summary(
        name,
        None if bundles is None else [_listed(bundle) for bundle in bundles],
        count(participant["voice_activity_segments"]),
        _extra_as_text(participant),
    )


def _listed(bundle: Row) -> Row:
    return {"name": bundle["name"], "models": count(bundle["models"]), **_extra(bundle)}


def _add_band(model: Row, bundle: str | None, bands: Bands) -> None:
    extra = _extra(model)
    model.pop("extra", None)
    model["band"] = bands.band(bundle, model["name"], model["score"])
    model.update(extra)


def _list(owner: Row | None, key: str) -> list[Row]:
    return [] if owner is None else owner[key] or []


def _extra(owner: Row) -> Row:
    return {"extra": owner["extra"]} if "extra" in owner else {}


def _extra_as_text(owner: Row) -> str | None:
    return as_text(owner["extra"]) if "extra" in owner else None
