"""Parses any CX AI result: validates its form, and keeps what differs from it.

The validator renames the documented fields, which must have the right type, and puts them in order.
Absent ones become null, undocumented ones are kept under `extra`; both are named as drift.
"""

from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic can't use typing's before 3.12

from cxai.policy.reply import Failure
from cxai.resources.cx_ai.form import (
    KNOWN_FIELDS,
    PARTICIPANT,
    PARTICIPANTS,
    RESULT,
    Interaction,
    ListOf,
    ObjectForm,
    Scalar,
)
from cxai.resources.cx_ai.form import Field as FormField
from cxai.resources.drift import DriftCollector
from cxai.resources.json_body import not_a_result, parse

MAX_ABSENT = 2**18  # absent fields that may become null in one body: a model `{}` becomes 0.5 KB

_NOT_OF_TYPE = {
    "dict_type": "is not an object",
    "list_type": "is not an array",
    "string_type": "is not a text",
    "string_too_long": "is too long",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
}

# Ignored fields are found by counting keys: 76 µs for a body of 23 KB, 112 with `forbid`.
_STRICTLY = ConfigDict(strict=True, allow_inf_nan=False, hide_input_in_errors=True, extra="ignore")


@cache
def _typed(of: ObjectForm) -> Any:
    fields = {
        each.name: Annotated[_type(each) | None, Field(validation_alias=each.api_name)]
        for each in of.fields
    }
    made: Any = TypedDict(of.title, fields, total=not of.is_partial)  # type: ignore[misc]
    return with_config(_STRICTLY)(made)


def _type(field: FormField) -> Any:
    match field.type:
        case Scalar.TEXT:
            return Annotated[str, Field(max_length=field.most_chars)]
        case Scalar.DOUBLE:
            return float
        case ListOf(element):
            return Annotated[list[_typed(element)], Field(fail_fast=True)]  # type: ignore[misc]
        case ObjectForm():
            return _typed(field.type)


_validate = TypeAdapter(_typed(RESULT)).validate_python


def read_interaction(body: bytes) -> Interaction | Failure:
    """Parse and validate the body of a result; never raises, whatever the bytes are.

    Fails with NOT_JSON, or with NOT_A_RESULT if it has no known participant or a value of a wrong
    type, or would become far larger (MAX_ABSENT); the reason names the path, never the value.
    """
    raw = parse(body)
    if isinstance(raw, Failure):
        return raw
    if not isinstance(raw, dict):
        return not_a_result("is not an object")
    if raw.keys().isdisjoint(RESULT.names):
        return not_a_result(
            "has none of the known participants" if raw else "is an empty object: no participant"
        )
    drift = DriftCollector()
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
    return Interaction(participants, drift.drift())


def _complete(raw: dict[str, Any], drift: DriftCollector) -> None:
    """Set absent fields to null, in place, so that the rest can be validated."""
    for name in RESULT.names:
        _complete_object(raw.get(name), PARTICIPANT, name, drift)


def _complete_object(value: Any, form: ObjectForm, participant: str, drift: DriftCollector) -> None:
    if not isinstance(value, dict) or drift.absent > MAX_ABSENT:
        return  # null, or to be refused
    for key in form.names:
        if key not in value:
            value[key] = None
            drift.note_absent(participant, form.path, key)
    for key, inner in form.lists.items():
        elements = value[key]
        if isinstance(elements, list):
            for element in elements:
                _complete_object(element, inner, participant, drift)


def _keep_unknown(raw: dict[str, Any], participants: dict[str, Any], drift: DriftCollector) -> None:
    """Add the fields of a valid `raw` that the validator ignored, as `extra`."""
    unknown = {key: value for key, value in raw.items() if key not in RESULT.names}
    if unknown:
        participants["extra"] = unknown
        for key in unknown:  # noted first: it may be a whole participant
            drift.note_unknown("", "", key)
    for key, name in RESULT.names.items():
        if raw.get(key) is not None:
            _keep_unknown_of(raw[key], participants[name], PARTICIPANT, key, drift)


def _keep_unknown_of(
    raw: dict[str, Any],
    kept: dict[str, Any],
    form: ObjectForm,
    participant: str,
    drift: DriftCollector,
) -> None:
    # A valid object has all fields of the form: with more keys, it has unknown ones.
    if len(raw) != len(form.names):
        known = form.names
        kept["extra"] = unknown = {k: v for k, v in raw.items() if k not in known}
        for key in unknown:
            drift.note_unknown(participant, form.path, key)
    for key, inner in form.lists.items():
        elements = raw[key]
        if elements and (inner.lists or _has_more_keys(elements, len(inner.names))):
            for element, kept_element in zip(elements, kept[form.names[key]], strict=True):
                _keep_unknown_of(element, kept_element, inner, participant, drift)


def _has_more_keys(elements: list[dict[str, Any]], known: int) -> bool:
    return sum(map(len, elements)) != known * len(elements)


def _refusal(error: ValidationError) -> Failure:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # A location also contains the names of the types that were tried.
    path = "".join(
        "[]" if isinstance(step, int) else f".{step}"
        for step in first["loc"]
        if isinstance(step, int) or step in KNOWN_FIELDS
    )
    return not_a_result(f"{path[1:]} {_NOT_OF_TYPE.get(first['type'], first['type'])}")
