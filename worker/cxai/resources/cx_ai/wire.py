"""The form of a CX AI result on the wire, and its reading.

The validator knows the documented form, renames its fields to snake_case and puts them in order.
A body that deviates is not bent until it fits: absent fields become null, fields that the form does
not know are kept under `extra`, both are named as drift, and all that is there has to be of the
right type.

Numbers: orjson refuses NaN, Infinity and what is beyond a double (1e400); an integer that does not
fit 64 bits becomes the nearest double. Scores and offsets are always doubles, also where a whole
number was sent. Of a key that occurs twice in one object, the last one counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired

import orjson
from pydantic import (
    AliasGenerator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    with_config,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict  # typing's own is not enough for pydantic before 3.12

from cxai.core.text import printable
from cxai.policy.reply import ABSENT, Failure, Interaction, Trouble
from cxai.policy.verdict import Stage
from cxai.resources.cx_ai.records import PARTICIPANTS
from cxai.resources.not_json import read_otherwise

MAX_DRIFT = 64
"""Distinct paths of unknown fields that are named for one body; all absent ones are, beside."""

MAX_KEY_CHARS = 64
"""Characters of an unknown key that are shown in its path."""

MAX_ABSENT = 2**18
"""Absent fields that become null in one body. Each takes room: a model `{}` becomes 0.5 KB."""

MAX_BUNDLE_NAME_CHARS = 1024
"""Characters in the name of a bundle: in tables, each of its models has a copy."""

# What `ignore` ignores is found by counting keys. Together that is faster than `forbid` (a body of
# 23 KB: 76 instead of 112 µs).
_strictly = with_config(
    ConfigDict(
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        extra="ignore",
        alias_generator=AliasGenerator(validation_alias=to_camel),
    )
)

_MS = "Milliseconds, inferred from the public sample: the API states no unit."
_Score = float | None
_Offset = float | None  # whole ones one night and fractional ones the next are one column, too
_BundleName = Annotated[
    str,
    Field(max_length=MAX_BUNDLE_NAME_CHARS),
    WithJsonSchema({"type": "string"}),  # a guard of ours, no property of the data
]


@_strictly
class Model(TypedDict):
    """What one AI behavioural model found. Scores may be negative, and in any order."""

    name: Annotated[str | None, Field(description="Name of the model.")]
    score: Annotated[_Score, Field(description="Overall score.")]
    min_score: Annotated[_Score, Field(description="Lowest score in the interaction.")]
    min_score_offset: Annotated[_Offset, Field(description=f"Time of the lowest score. {_MS}")]
    max_score: Annotated[_Score, Field(description="Highest score in the interaction.")]
    max_score_offset: Annotated[_Offset, Field(description=f"Time of the highest score. {_MS}")]
    quartile1: Annotated[_Score, Field(description="Score across the first quarter.")]
    quartile2: Annotated[_Score, Field(description="Score across the second quarter.")]
    quartile3: Annotated[_Score, Field(description="Score across the third quarter.")]
    quartile4: Annotated[_Score, Field(description="Score across the fourth quarter.")]


@_strictly
class Bundle(TypedDict):
    """An AI behavioural model bundle."""

    name: Annotated[
        _BundleName | None,
        Field(description="Name of the bundle, such as Customer Satisfaction."),
    ]
    models: Annotated[
        Annotated[list[Model], Field(fail_fast=True)] | None,
        Field(description="One per model, in the API's order."),
    ]


@_strictly
class Segment(TypedDict):
    """A stretch of voice or of silence."""

    start_time_offset: Annotated[_Offset, Field(description=f"Start of the segment. {_MS}")]
    end_time_offset: Annotated[_Offset, Field(description=f"End of the segment. {_MS}")]
    result: Annotated[
        str | None, Field(description="`voice` or `silence`; any other text is kept as sent.")
    ]


@_strictly
class Participant(TypedDict):
    """What was found for one participant."""

    enlighten_bundles: Annotated[
        Annotated[list[Bundle], Field(fail_fast=True)] | None,
        Field(description="One per eligible AI behavioural model bundle."),
    ]
    voice_activity_segments: Annotated[
        Annotated[list[Segment], Field(fail_fast=True)] | None,
        Field(description="Voice and silence in turn; null where the API sends null."),
    ]


@_strictly
class Result(TypedDict):
    """A CX AI result. A participant may be absent."""

    all_participants: NotRequired[
        Annotated[Participant | None, Field(description="All participants together.")]
    ]
    participant_one: NotRequired[
        Annotated[Participant | None, Field(description="The first participant.")]
    ]
    participant_two: NotRequired[
        Annotated[Participant | None, Field(description="The second participant.")]
    ]


_validate: Callable[[Any], dict[str, Any]] = TypeAdapter[Any](Result).validate_python


@dataclass(frozen=True, slots=True)
class _Form:
    """An object of the documented form: what its fields are called there and here.

    `lists` holds the form of the elements of those fields that are lists of objects.
    """

    path: str
    fields: Mapping[str, str]
    lists: Mapping[str, "_Form"] = field(default_factory=dict)


def _camel(typed: type) -> Mapping[str, str]:
    return {to_camel(name): name for name in typed.__annotations__}


_MODEL = _Form(".enlightenBundles[].models[]", _camel(Model))
_BUNDLE = _Form(".enlightenBundles[]", _camel(Bundle), {"models": _MODEL})
_SEGMENT = _Form(".voiceActivitySegments[]", _camel(Segment))
_PARTICIPANT = _Form(
    "", _camel(Participant), {"enlightenBundles": _BUNDLE, "voiceActivitySegments": _SEGMENT}
)
_RESULT = _camel(Result)

_KNOWN = frozenset(_RESULT).union(
    *(form.fields for form in (_PARTICIPANT, _BUNDLE, _MODEL, _SEGMENT))
)
_NOT_OF_TYPE = {
    "dict_type": "is no object",
    "list_type": "is no array",
    "string_type": "is no text",
    "string_too_long": "is too long",
    "float_type": "is no number",
    "finite_number": "is no finite number",
}


class _Drift:
    """The distinct paths at which a body deviates: of unknown fields up to MAX_DRIFT.

    Those of absent fields need no bound, since the form has only so many; `absent` counts each
    time that one is absent, `more` each time that an unknown one is beyond MAX_DRIFT.
    """

    def __init__(self) -> None:
        self._unknown: dict[tuple[str, str, str], None] = {}
        self._absent: dict[tuple[str, str, str], None] = {}
        self.absent = self.more = 0

    def note_absent(self, participant: str, path: str, key: str) -> None:
        self.absent += 1
        self._absent[participant, path, key] = None

    def note_unknown(self, participant: str, path: str, key: str) -> None:
        where = (participant, path, key)
        if where in self._unknown or len(self._unknown) < MAX_DRIFT:
            self._unknown[where] = None
        else:
            self.more += 1

    def paths(self) -> tuple[str, ...]:
        """Return all paths, those of unknown fields first."""
        unknown = (_shown(*where) for where in self._unknown)
        absent = (_shown(*where) + ABSENT for where in self._absent)
        return tuple(dict.fromkeys((*unknown, *absent)))


def _shown(participant: str, path: str, key: str) -> str:
    return f"{participant}{path}.{printable(key, MAX_KEY_CHARS)}".removeprefix(".")


def read(body: bytes) -> Interaction | Failure:
    """Parse and validate the body of a result; never raises, whatever the bytes are.

    Fails with NOT_JSON for what is none, with NOT_A_RESULT for JSON without any known participant,
    with a value of a wrong type, or that would become far larger than it is (MAX_ABSENT,
    MAX_BUNDLE_NAME_CHARS). The reason names its path, never its value.
    """
    raw = parse(body)
    if isinstance(raw, Failure):
        return raw
    if not isinstance(raw, dict):
        return not_a_result("is no object")
    if raw.keys().isdisjoint(_RESULT):
        return not_a_result(
            "has none of the known participants" if raw else "is an empty object: no participant"
        )
    drift = _Drift()
    try:
        result = _validate(raw)
    except ValidationError:
        _complete(raw, drift)
        if drift.absent > MAX_ABSENT:
            return not_a_result(f"lacks more than {MAX_ABSENT} fields")
        try:
            result = _validate(raw)
        except ValidationError as error:
            return _refusal(error)
    participants = {name: result.get(name) for name in PARTICIPANTS}
    _keep_unknown(raw, participants, drift)
    return Interaction(participants, drift.paths(), drift.more)


def parse(body: bytes) -> Any:
    """Return the JSON value that `body` holds, or the Failure that it holds none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return read_otherwise(body, error)


def not_a_result(reason: str) -> Failure:
    """Return the failure of a body that is JSON, but not what was asked for."""
    return Failure(Trouble.NOT_A_RESULT, Stage.VALIDATE, reason)


def _complete(raw: dict[str, Any], drift: _Drift) -> None:
    """Give the fields that are absent a null, in place, so that the rest can be validated."""
    for name in _RESULT:
        _complete_object(raw.get(name), _PARTICIPANT, name, drift)


def _complete_object(value: Any, form: _Form, participant: str, drift: _Drift) -> None:
    if not isinstance(value, dict) or drift.absent > MAX_ABSENT:
        return  # null, or to be refused
    for key in form.fields:
        if key not in value:
            value[key] = None
            drift.note_absent(participant, form.path, key)
    for key, inner in form.lists.items():
        elements = value[key]
        if isinstance(elements, list):
            for element in elements:
                _complete_object(element, inner, participant, drift)


def _keep_unknown(raw: dict[str, Any], participants: dict[str, Any], drift: _Drift) -> None:
    """Add what the validator ignored of `raw`, which it accepted, as `extra`."""
    unknown = {key: value for key, value in raw.items() if key not in _RESULT}
    if unknown:
        participants["extra"] = unknown
        for key in unknown:  # noted first: it may be a whole participant
            drift.note_unknown("", "", key)
    for key, name in _RESULT.items():
        if raw.get(key) is not None:
            _keep_unknown_of(raw[key], participants[name], _PARTICIPANT, key, drift)


def _keep_unknown_of(
    raw: dict[str, Any], kept: dict[str, Any], form: _Form, participant: str, drift: _Drift
) -> None:
    # All fields of the form are in an accepted object: it has unknown ones if it has more keys.
    if len(raw) != len(form.fields):
        fields = form.fields
        kept["extra"] = unknown = {k: v for k, v in raw.items() if k not in fields}
        for key in unknown:
            drift.note_unknown(participant, form.path, key)
    for key, inner in form.lists.items():
        elements = raw[key]
        if elements and (inner.lists or _has_more_keys(elements, len(inner.fields))):
            for element, kept_element in zip(elements, kept[form.fields[key]], strict=True):
                _keep_unknown_of(element, kept_element, inner, participant, drift)


def _has_more_keys(elements: list[dict[str, Any]], known: int) -> bool:
    return sum(map(len, elements)) != known * len(elements)


def _refusal(error: ValidationError) -> Failure:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # Besides field names and indexes, a location has the names of the types that were tried.
    path = "".join(
        "[]" if isinstance(step, int) else f".{step}"
        for step in first["loc"]
        if isinstance(step, int) or step in _KNOWN
    )
    return not_a_result(f"{path[1:]} {_NOT_OF_TYPE.get(first['type'], first['type'])}")
