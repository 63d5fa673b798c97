"""Writes the participants of a regular body as lines, in the same bytes as `rows.py` has for it.

tests/unit/test_cx_ai_regular.py and the fuzzer hold the two to that.
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

_encode_lines = Encoder().encode_lines


def nested_line(stamp: Row, participants: Sequence[Any], bands: Bands | None) -> bytes:
    """Return the line of the nested record. The participants are no longer as sent after it."""
    for participant in participants:
        if participant is not None:
            _rename(participant, bands)
    return _encode_lines((_Record(*stamp.values(), *participants),))


def _rename(participant: Any, bands: Bands | None) -> None:
    """Give a participant the types whose fields have our names, and its models their bands."""
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
        begin = (*stamp.values(), name)
        scores += _scores(begin, participant, bands)
        segments += _segments(begin, participant)
        row |= _summary(name, participant)
    made = {INTERACTIONS: line({**row, "extra": None})}
    if scores:
        made[SCORES] = _encode_lines(scores)
    if segments:
        made[SEGMENTS] = _encode_lines(segments)
    return made


def _scores(begin: tuple[Any, ...], participant: Any, bands: Bands | None) -> Iterator[Struct]:
    for bundle_index, bundle in enumerate(participant.enlighten_bundles or ()):
        for model_index, model in enumerate(bundle.models or ()):
            name, *figures = astuple(model)
            band = None if bands is None else bands.band(bundle.name, name, model.score)
            place = (bundle.name, bundle_index, name, model_index)
            yield _Score(*begin, *place, *figures, band, None)


def _segments(begin: tuple[Any, ...], participant: Any) -> Iterator[Struct]:
    for index, segment in enumerate(participant.voice_activity_segments or ()):
        yield _SegmentRow(*begin, index, *astuple(segment), None)


def _summary(name: str, participant: Any) -> Row:
    bundles, segments = participant.enlighten_bundles, participant.voice_activity_segments
    listed = (
        None if bundles is None else [{"name": b.name, "models": count(b.models)} for b in bundles]
    )
    return summary(name, listed, count(segments), None)
