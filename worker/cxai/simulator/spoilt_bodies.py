"""JSON that the API had better not send: each fault as a function of a good result's JSON."""

import re
from collections.abc import Callable, Mapping

from cxai.simulator.fault import Fault

Spoil = Callable[[bytes], bytes]

_SCORE = re.compile(rb'"score":[^,]+')
_OFFSET = re.compile(rb'"minScoreOffset":[^,]+')
_MINIMA = re.compile(rb'"minScore":[^,]+,')
_NAME = b'"Customer Satisfaction"'


def _score(value: bytes) -> Spoil:
    return lambda body: _SCORE.sub(b'"score":' + value, body, count=1)


def _offset(value: bytes) -> Spoil:
    return lambda body: _OFFSET.sub(b'"minScoreOffset":' + value, body, count=1)


def _name(value: bytes) -> Spoil:
    return lambda body: body.replace(_NAME, value, 1)


def _before(members: bytes) -> Spoil:
    """Put members before those that the object has."""
    return lambda body: b"{" + members + b"," + body[1:]


def _instead(other: bytes) -> Spoil:
    return lambda _body: other


BODIES: Mapping[Fault, Spoil] = {
    Fault.EMPTY: _instead(b""),
    Fault.NAN: _score(b"NaN"),
    Fault.INFINITY: _score(b"-Infinity"),
    Fault.OVERFLOW: _score(b"1e400"),
    Fault.NUMBER_AS_TEXT: _score(b'"NaN"'),
    Fault.BIG_INTEGER: _offset(b"18446744073709551616"),
    Fault.LONG_INTEGER: _offset(b"9" * 5_000),
    Fault.DEEP: _before(b'"deep":' + b"[" * 300 + b"]" * 300),
    Fault.DEEPER: _before(b'"deep":' + b"[" * 2_000 + b"]" * 2_000),
    Fault.DUPLICATE_KEYS: _before(b'"allParticipants":null'),
    Fault.SCALAR: _instead(b"42"),
    Fault.OTHER_JSON: _instead(b'{"message":"All is well."}'),
    Fault.HALF_JSON: lambda body: body[: len(body) // 2],
    Fault.LINE_SEPARATORS: _name(b'"Customer\xe2\x80\xa8\\r\\n\\u2029\\u0000Satisfaction"'),
    Fault.UNKNOWN_FIELDS: _before(b'"newField":{"by":["cxai","\xe2\x80\xa8"],"since":2026}'),
    Fault.MISSING_FIELDS: lambda body: _MINIMA.sub(b"", body),
    Fault.BOM: lambda body: b"\xef\xbb\xbf" + body,
    Fault.BAD_UTF8: _name(b'"Customer \xff Satisfaction"'),
}
