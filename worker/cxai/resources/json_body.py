"""Parses a body as JSON, and says what it is if it isn't JSON."""

import codecs
import re
from typing import Any

import orjson

from cxai.policy.reply import Failure, FailureKind
from cxai.policy.verdict import FailureStage

_NO_NUMBER = re.compile(rb"-?\s*(?:NaN|Infinity|inf)\b", re.IGNORECASE)

_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # gzip, zstd

_BY_MESSAGE = (
    ("surrogate in string", "half of a surrogate pair in a text"),
    ("infinity when parsed", "a number beyond the range of a double"),
    ("depth limit", "nested too deeply"),
    ("unexpected end", "it ends too early"),
)
"""What is wrong, by words of orjson's message."""


def parse(body: bytes) -> Any:
    """Return the JSON value that `body` holds, or a NOT_JSON failure; never raises.

    orjson refuses NaN, Infinity and numbers beyond a double (1e400); an integer that does not fit
    64 bits becomes the nearest double. Of a key that occurs twice in one object, the last one
    counts. A byte order mark is ignored, as RFC 8259, 8.1 allows.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _parse_otherwise(body, error)


def not_a_result(reason: str) -> Failure:
    """Return the failure of a body that is JSON, but not the requested result."""
    return Failure(FailureKind.NOT_A_RESULT, FailureStage.VALIDATE, reason)


def _parse_otherwise(body: bytes, error: orjson.JSONDecodeError) -> Any:
    if body.startswith(codecs.BOM_UTF8):
        body = body.removeprefix(codecs.BOM_UTF8)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as other:
            error = other
    return Failure(FailureKind.NOT_JSON, FailureStage.PARSE, _what(body, error))


def _what(body: bytes, error: orjson.JSONDecodeError) -> str:
    start = body.lstrip()[:4]
    if not start:
        return "empty body"
    if start.startswith(b"<"):
        return "HTML or XML"
    found = _odd_text(body, start) or _odd_value(body, error)
    return f"not JSON: {found}" if found else "not JSON"


def _odd_text(body: bytes, start: bytes) -> str | None:
    if start.startswith(_COMPRESSED):
        return "compressed, but without a Content-Encoding"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start:
        return "UTF-16 or UTF-32 instead of UTF-8"
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return "not valid UTF-8"
    return None


def _odd_value(body: bytes, error: orjson.JSONDecodeError) -> str | None:
    place = len(body.decode("utf-8")[: error.pos].encode("utf-8"))
    # orjson reports its position, or that after its sign.
    if any(_NO_NUMBER.match(body, at) for at in (place, max(0, place - 1))):
        return "NaN or Infinity"
    return next((name for words, name in _BY_MESSAGE if words in error.msg), None)
