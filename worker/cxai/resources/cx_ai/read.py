"""Reads the body of a CX AI result: validates its form, and keeps what deviates from it.

The validator knows the documented form, renames its fields to snake_case and puts them in order.
A body that deviates is not bent until it fits: absent fields become null, fields that the form does
not know are kept under `extra`, both are named as drift, and all that is there has to be of the
right type.
"""

from typing import Any

from pydantic import ValidationError

from cxai.policy.reply import Failure
from cxai.resources.cx_ai.form import (
    KNOWN_FIELDS,
    PARTICIPANT,
    PARTICIPANTS,
    RESULT,
    Interaction,
    ObjectForm,
)
from cxai.resources.cx_ai.validator import validator
from cxai.resources.drift import DriftCollector
from cxai.resources.json_body import not_a_result, parse

MAX_ABSENT = 2**18
"""Absent fields that become null in one body. Each takes room: a model `{}` becomes 0.5 KB."""

_validate = validator(RESULT)

_NOT_OF_TYPE = {
    "dict_type": "is no object",
    "list_type": "is no array",
    "string_type": "is no text",
    "string_too_long": "is too long",
    "float_type": "is no number",
    "finite_number": "is no finite number",
}


def read_interaction(body: bytes) -> Interaction | Failure:
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
    """Give the fields that are absent a null, in place, so that the rest can be validated."""
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
    """Add what the validator ignored of `raw`, which it accepted, as `extra`."""
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
    # All fields of the form are in an accepted object: it has unknown ones if it has more keys.
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
    # Besides field names and indexes, a location has the names of the types that were tried.
    path = "".join(
        "[]" if isinstance(step, int) else f".{step}"
        for step in first["loc"]
        if isinstance(step, int) or step in KNOWN_FIELDS
    )
    return not_a_result(f"{path[1:]} {_NOT_OF_TYPE.get(first['type'], first['type'])}")
