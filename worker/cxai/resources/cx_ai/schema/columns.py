"""The columns of each part set: the API's fields, from `cx_ai/form.py`, and those that we add."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from cxai.core.layout import FAILURES
from cxai.policy.verdict import FailureStage, Verdict
from cxai.resources.cx_ai import form
from cxai.resources.cx_ai.form import PARTICIPANTS
from cxai.resources.cx_ai.layout import (
    INTERACTIONS,
    PART_SETS,
    RECORDS,
    SCHEMA_VERSION,
    SCORES,
    SEGMENTS,
)
from cxai.resources.cx_ai.schema.table import Column, ListOf, Scalar, Struct, Table
from cxai.resources.options import Shape


def tables_of(shape: Shape) -> tuple[Table, ...]:
    """Return the table of each part set that `shape` writes."""
    makers = {
        RECORDS: _records,
        INTERACTIONS: _interactions,
        SCORES: _scores,
        SEGMENTS: _segments,
        FAILURES: _failures,
    }
    return tuple(makers[name]() for name in PART_SETS[shape])


_nullable = partial(Column, nullable=True)
_FROM_0 = {"minimum": 0}

_ID = Column("interaction_id", Scalar.TEXT, "Interaction identifier, as given.")
_BAND = _nullable(
    "band",
    Scalar.TEXT,
    "Name of the configured score range (lower, upper] that the overall score falls into; null if"
    " there is none.",
)
_PARTICIPANT = Column(
    "participant",
    Scalar.TEXT,
    "The participant that the row is about.",
    rules={"enum": list(PARTICIPANTS)},
)
_EXTRA_OBJECT = Column(
    "extra",
    Scalar.JSON_OBJECT,
    "Undocumented fields, as sent; absent if there are none.",
    optional=True,
)
_BAND_IF_CONFIGURED = replace(
    _BAND, comment=f"Only if score ranges are configured. {_BAND.comment}", optional=True
)


def _stamp(
    interaction_id: Column = _ID, when: str = "When the result was retrieved"
) -> tuple[Column, ...]:
    """Return the columns at the beginning of every row."""
    return (
        interaction_id,
        Column(
            "schema_version",
            Scalar.INTEGER,
            "Version of this schema. It increases when readers of the rows have to change.",
            rules={"const": SCHEMA_VERSION},
        ),
        Column(
            "retrieved_at",
            Scalar.TIMESTAMP,
            f"{when}: UTC, RFC 3339, with milliseconds.",
            rules={"format": "date-time"},
        ),
        Column(
            "run_id",
            Scalar.TEXT,
            "The run that wrote the row; every run has its own.",
            rules={"format": "uuid"},
        ),
    )


def _extra(of_what: str) -> Column:
    comment = (
        f"Undocumented fields of the {of_what}, as sent: a JSON object as text; null without any."
    )
    return _nullable("extra", Scalar.JSON_TEXT, comment)


def _index(name: str, what: str, owner: str) -> Column:
    comment = f"Position of the {what} within {owner}, from 0."
    return Column(name, Scalar.INTEGER, comment, rules=_FROM_0)


def _records() -> Table:
    columns = (*_stamp(), *_columns(form.RESULT), _EXTRA_OBJECT)
    return Table(RECORDS, "One line per interaction.", columns)


def _interactions() -> Table:
    columns = [*_stamp()]
    for participant in _columns(form.RESULT):
        columns += _summary(participant.name, participant.comment.removesuffix("."))
    return Table(
        INTERACTIONS,
        "One row per interaction, with a summary of its rows in the other tables.",
        (*columns, _extra("result")),
    )


def _summary(name: str, who: str) -> Iterator[Column]:
    def count(fact: str, comment: str) -> Column:
        return _nullable(f"{name}_{fact}", Scalar.INTEGER, f"{who}: {comment}", rules=_FROM_0)

    null = "null where the API sends null or nothing"
    yield Column(f"{name}_present", Scalar.BOOLEAN, f"{who}: false if absent or null.")
    yield count("bundles", f"number of AI behavioural model bundles; {null}.")
    yield count("models", f"rows in `{SCORES}`; {null} instead of bundles.")
    yield count("segments", f"rows in `{SEGMENTS}`; {null}.")
    yield _nullable(
        f"{name}_bundle_list",
        Scalar.JSON_TEXT,
        f"{who}: its bundles in the API's order, also those without models: a JSON array as text,"
        " of objects with `name`, `models` (their number, or null) and, if there are any, `extra`"
        f" (undocumented fields of the bundle); {null}.",
    )
    yield _nullable(
        f"{name}_extra",
        Scalar.JSON_TEXT,
        f"{who}: undocumented fields of the participant: a JSON object as text; null without any.",
    )


def _scores() -> Table:
    name, *fields = (c for c in _struct(form.MODEL).columns if c.name not in ("band", "extra"))
    columns = (
        *_stamp(),
        _PARTICIPANT,
        _nullable("bundle", Scalar.TEXT, "Name of the bundle."),
        _index("bundle_index", "bundle", "the participant"),
        Column("model", name.type, name.comment, name.nullable),
        _index("model_index", "model", "the bundle"),
        *fields,
        _BAND,
        _extra("model"),
    )
    return Table(SCORES, "One row per participant, bundle and model.", columns)


def _segments() -> Table:
    columns = (
        *_stamp(),
        _PARTICIPANT,
        _index("segment_index", "segment", "the participant"),
        *(column for column in _struct(form.SEGMENT).columns if column.name != "extra"),
        _extra("segment"),
    )
    return Table(SEGMENTS, "One row per participant and voice activity segment.", columns)


def _failures() -> Table:
    excerpt = "Interaction identifier, as given; an excerpt of what can't be one."
    verdicts = [verdict.value for verdict in Verdict if verdict is not Verdict.OK]
    columns = (
        *_stamp(Column(_ID.name, _ID.type, excerpt), "When the verdict was reached"),
        Column("verdict", Scalar.TEXT, "The verdict.", rules={"enum": verdicts}),
        Column("reason", Scalar.TEXT, "The reason, in words."),
        Column(
            "stage",
            Scalar.TEXT,
            "The stage in which the last request failed.",
            rules={"enum": [stage.value for stage in FailureStage]},
        ),
        Column("attempts", Scalar.INTEGER, "Number of requests for it.", rules=_FROM_0),
        _nullable(
            "api_status",
            Scalar.INTEGER,
            "HTTP status of the API's last reply; null if there was none.",
        ),
        _nullable("api_message", Scalar.TEXT, "The API's own message; null if there was none."),
        _nullable(
            "api_state",
            Scalar.TEXT,
            "State of the interaction from the status endpoint; null if it was not requested.",
        ),
        Column("source", Scalar.TEXT, "Where the ID came from."),
        Column("line", Scalar.INTEGER, "Line there, from 1.", rules={"minimum": 1}),
    )
    return Table(
        FAILURES,
        "One line each time that an ID got a verdict without a record. Of several lines for one ID,"
        " only the last counts, and none if the ID has a record by now.",
        columns,
    )


def _struct(of: form.ObjectForm) -> Struct:
    columns = [*_columns(of)]
    if of is form.MODEL:
        columns.append(_BAND_IF_CONFIGURED)
    return Struct(of.title, of.description, (*columns, _EXTRA_OBJECT))


def _columns(of: form.ObjectForm) -> Iterator[Column]:
    for each in of.fields:
        yield _nullable(each.name, _type(each.type), each.description)


def _type(of: form.Scalar | form.ListOf | form.ObjectForm) -> Scalar | Struct | ListOf:
    match of:
        case form.ListOf(element):
            return ListOf(_struct(element))
        case form.ObjectForm():
            return _struct(of)
        case form.Scalar():
            return Scalar[of.name]
