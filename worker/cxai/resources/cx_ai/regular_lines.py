"""Writes the participants of a regular body as lines, with the same bytes as `rows.py`.

tests/unit/test_cx_ai_regular.py and the fuzzer compare the two.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct, defstruct
from msgspec.json import Encoder
from msgspec.structs import astuple

from cxai.resources.cx_ai import form
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.layout import INTERACTIONS, SCORES, SEGMENTS
from cxai.resources.cx_ai.regular import kept
from cxai.resources.cx_ai.rows import count, no_participant, summary
from cxai.resources.lines import STAMP, Row, line

_Participant, _Bundle = kept(form.PARTICIPANT), kept(form.BUNDLE)
_Model, _Segment = kept(form.MODEL), kept(form.SEGMENT)
_BandedModel = kept(form.MODEL, "band")
_Record = defstruct("Record", [*STAMP, *form.PARTICIPANTS], gc=False)

_SCORE_PLACE = ("participant", "bundle", "bundle_index", "model", "model_index")
_Score = defstruct(
    "Score",
    [*STAMP, *_SCORE_PLACE, *(f.name for f in form.MODEL.fields[1:]), "band", "extra"],
    gc=False,
)
_SegmentRow = defstruct(
    "SegmentRow",
    [*STAMP, "participant", "segment_index", *(f.name for f in form.SEGMENT.fields), "extra"],
    gc=False,
)

# msgspec 0.22 loses an iterator of 64 bytes at each call with anything but a list.
_encode_lines = Encoder().encode_lines


def nested_line(stamp: Row, participants: Sequence[Any], bands: Bands | None) -> bytes:
    """Return the line of the nested record. Changes the participants in place."""
    for participant in participants:
        if participant is not None:
            _rename(participant, bands)
    return _encode_lines([_Record(*stamp.values(), *participants)])


def _rename(participant: Any, bands: Bands | None) -> None:
    """Rename the fields of a participant by changing its types, and add the bands of its models."""
    participant.__class__ = _Participant
    for bundle in participant.enlighten_bundles or ():
        bundle.__class__ = _Bundle
        if bands is not None and bundle.models:
            bundle.models = [
                _BandedModel(*astuple(model), bands.band(bundle.name, model.name, model.score))
                for model in bundle.models
            ]
        else:
            for model in bundle.models or ():
                model.__class__ = _Model
    for segment in participant.voice_activity_segments or ():
        segment.__class__ = _Segment


def table_lines(stamp: Row, participants: Sequence[Any], bands: Bands | None) -> dict[str, bytes]:
    """Return the lines of each table that has any."""
    scores: list[Struct] = []
    segments: list[Struct] = []
    row = dict(stamp)
    for name, participant in zip(form.PARTICIPANTS, participants, strict=True):
        if participant is None:
            row |= no_participant(name)
            continue
        scores += _scores(stamp, name, participant, bands)
        segments += _segments(stamp, name, participant)
        row |= _summary(name, participant)
    made = {INTERACTIONS: line({**row, "extra": None})}
    if scores:
        made[SCORES] = _encode_lines(scores)
    if segments:
        made[SEGMENTS] = _encode_lines(segments)
    return made


def _scores(stamp: Row, name: str, participant: Any, bands: Bands | None) -> Iterator[Struct]:
    for bundle_index, bundle in enumerate(participant.enlighten_bundles or ()):
        begin = (*stamp.values(), name, bundle.name, bundle_index)
        for index, model in enumerate(bundle.models or ()):
            band = None if bands is None else bands.band(bundle.name, model.name, model.score)
            yield _Score(*begin, model.name, index, *astuple(model)[1:], band, None)


def _segments(stamp: Row, name: str, participant: Any) -> Iterator[Struct]:
    # A body has about 150. Unpacking `stamp` and `astuple(segment)` for each takes 20 µs more.
    interaction_id, version, at, run_id = stamp.values()
    for index, segment in enumerate(participant.voice_activity_segments or ()):
        start, end = segment.start_time_offset, segment.end_time_offset
        yield _SegmentRow(
            interaction_id, version, at, run_id, name, index, start, end, segment.result, None
        )


def _summary(name: str, participant: Any) -> Row:
    bundles, segments = participant.enlighten_bundles, participant.voice_activity_segments
    listed = (
        None if bundles is None else [{"name": b.name, "models": count(b.models)} for b in bundles]
    )
    return summary(name, listed, count(segments), None)
