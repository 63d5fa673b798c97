"""The verdict and record that a run may have for an ID, derived from the simulator's tables."""

import re
from functools import cache

import orjson

from cxai.simulator import Fault, Kind, behaviour_of, expected_result
from cxai.simulator.bodies import result_json

FINAL = frozenset({"ok", "not_found", "processing_failed", "too_large", "invalid_id"})
"""Verdicts that no later run retries."""

BY_KIND = {
    Kind.MISSING: "not_found",
    Kind.ABANDONED: "processing_failed",
    Kind.FAILED: "processing_failed",
    Kind.BROKEN: "exhausted",
    Kind.GARBLED: "bad_body",
}

AFTER_ONE = {
    Fault.REJECTED: "rejected",
    Fault.BOMB_GZIP: "too_large",
    Fault.BOMB_BR: "too_large",
}
"""The verdict after one such response."""

AFTER_TWO = {
    **AFTER_ONE,
    Fault.REDIRECT: "redirected",
    Fault.REDIRECT_TO_HOST: "redirected",
    Fault.NUMBER_AS_TEXT: "bad_body",
    Fault.SCALAR: "bad_body",
    Fault.OTHER_JSON: "bad_body",
    Fault.DEEP: "bad_body",
    Fault.UNKNOWN_ENCODING: "unsupported_encoding",
}
"""The verdict after two such responses."""

IN_THE_END = {
    **AFTER_TWO,
    Fault.GONE: "not_found",
    Fault.NO_CONTENT: "not_found",
    Fault.CONFLICT: "not_found",
    Fault.NO_CX_AI: "not_found",
    Fault.EMPTY: "bad_body",
    Fault.NAN: "bad_body",
    Fault.INFINITY: "bad_body",
    Fault.OVERFLOW: "bad_body",
    Fault.LONG_INTEGER: "bad_body",
    Fault.DEEPER: "bad_body",
    Fault.HALF_JSON: "bad_body",
    Fault.BAD_UTF8: "bad_body",
    Fault.LYING_ENCODING: "corrupt_body",
    Fault.UNDONE_ENCODING: "corrupt_body",
    Fault.BIT_FLIP: "corrupt_body",
    Fault.NO_REPLY: "exhausted",
    Fault.DRIP_HEADERS: "exhausted",
    Fault.DRIP_BODY: "exhausted",
    Fault.LENGTH_TOO_LONG: "exhausted",
    Fault.LENGTH_TOO_SHORT: "exhausted",
    Fault.BAD_CHUNK: "exhausted",
    Fault.NO_LAST_CHUNK: "exhausted",
    Fault.BAD_STATUS_LINE: "exhausted",
    Fault.HUGE_HEADER: "exhausted",
    Fault.FLOOD: "exhausted",
}
"""The verdict if every response has the fault; all other faults are `ok`."""


# Of 16 variants of results these have 2 to 5 kB.
_SMALL_VARIANTS = 3


def is_small(scenario, interaction_id):
    """Whether the result of an ID is small, so that a kill interrupts work on IDs, not on bytes."""
    return behaviour_of(scenario, interaction_id).variant % 16 < _SMALL_VARIANTS


def wanted(scenario, interaction_id):
    """Return the verdict of an ID if no run is killed."""
    its = behaviour_of(scenario, interaction_id)
    if its.fault is None:
        return BY_KIND.get(its.kind, "ok")
    after = {0: IN_THE_END, 1: AFTER_ONE}.get(its.affected, AFTER_TWO)
    return after.get(its.fault, "ok")


def possible(scenario, interaction_id):
    """Return the possible verdicts of an ID if runs are killed, but not the last one.

    A run may have been killed between the decisive response and its commit. If the fault has passed
    by then, the next run gets the result.
    """
    undisturbed = wanted(scenario, interaction_id)
    passes = undisturbed in AFTER_TWO.values() and behaviour_of(scenario, interaction_id).has_result
    return {undisturbed, "ok"} if passes else {undisturbed}


def contents(scenario, interaction_id):
    """Return the possible contents of an ID's record: one, or two.

    Two if the first result is odd but valid, and a later one is not odd (see `possible`).
    """
    its = behaviour_of(scenario, interaction_id)
    odd = its.fault if its.fault and its.fault.entry.harmless else None
    key = scenario.seed, its.variant, odd, its.affected
    if key not in _CONTENTS:
        _CONTENTS[key] = [as_recorded(expected_result(scenario, interaction_id), odd)]
        if odd and its.affected:
            plain = orjson.loads(result_json(scenario.seed, its.variant))
            _CONTENTS[key].append(as_recorded(plain))
    return _CONTENTS[key]


_CONTENTS = {}  # many IDs share one


def as_recorded(result, fault=None):
    """Return a result of the API, with that fault if any, in the form of its record."""
    content = in_snake_case(result)
    if fault is Fault.UNKNOWN_FIELDS:
        content["extra"] = {"newField": content.pop("new_field")}
    if fault is Fault.ECHO_TOKEN:
        content["extra"] = {"echo": {"[token]": "[token]"}}
    if fault is Fault.MISSING_FIELDS:
        for participant in content.values():
            for bundle in participant["enlighten_bundles"]:
                for model in bundle["models"]:
                    model["min_score"] = None
    return content


def in_snake_case(value):
    match value:
        case dict():
            return {_snake_case(key): in_snake_case(content) for key, content in value.items()}
        case list():
            return [in_snake_case(content) for content in value]
        case _:
            return value


@cache
def _snake_case(key):
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key)
