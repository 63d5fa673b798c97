"""The ways in which an answer can be spoiled, by name: what each does is in the tables for it."""

from collections.abc import Mapping
from enum import StrEnum


class Fault(StrEnum):
    """What is wrong with the answers to an ID that is `faulty`: with its result, never its status.

    Which table holds it says where it goes wrong: `replies`, `spoilt_bodies`, `spoilt_codings`,
    `wire_faults`.
    """

    REJECTED = "rejected"
    GONE = "gone"
    NO_CONTENT = "no-content"
    CONFLICT = "conflict"
    NO_CX_AI = "no-cx-ai"
    EMPTY = "empty"
    REDIRECT = "redirect"
    REDIRECT_TO_HOST = "redirect-to-host"
    RETRY_AFTER_SECONDS = "retry-after-seconds"
    RETRY_AFTER_DATE = "retry-after-date"
    RETRY_AFTER_PAST = "retry-after-past"
    RETRY_AFTER_HUGE = "retry-after-huge"
    RETRY_AFTER_GARBAGE = "retry-after-garbage"
    ERROR_BODY_HUGE = "error-body-huge"
    ERROR_BODY_CUT = "error-body-cut"

    NAN = "nan"
    INFINITY = "infinity"
    OVERFLOW = "overflow"
    NUMBER_AS_TEXT = "number-as-text"
    BIG_INTEGER = "big-integer"
    LONG_INTEGER = "long-integer"
    DEEP = "deep"
    DEEPER = "deeper"
    DUPLICATE_KEYS = "duplicate-keys"
    SCALAR = "scalar"
    OTHER_JSON = "other-json"
    HALF_JSON = "half-json"
    LINE_SEPARATORS = "line-separators"
    UNKNOWN_FIELDS = "unknown-fields"
    MISSING_FIELDS = "missing-fields"
    ECHO_TOKEN = "echo-token"  # noqa: S105 - a name
    BOM = "bom"
    BAD_UTF8 = "bad-utf8"

    BOMB_GZIP = "bomb-gzip"
    BOMB_BR = "bomb-br"
    LYING_ENCODING = "lying-encoding"
    UNDONE_ENCODING = "undone-encoding"
    DOUBLE_ENCODING = "double-encoding"
    UNKNOWN_ENCODING = "unknown-encoding"
    MULTI_MEMBER = "multi-member"
    RAW_DEFLATE = "raw-deflate"
    BIT_FLIP = "bit-flip"

    NO_REPLY = "no-reply"
    DRIP_HEADERS = "drip-headers"
    DRIP_BODY = "drip-body"
    LENGTH_TOO_LONG = "length-too-long"
    LENGTH_TOO_SHORT = "length-too-short"
    BAD_CHUNK = "bad-chunk"
    NO_LAST_CHUNK = "no-last-chunk"
    BAD_STATUS_LINE = "bad-status-line"
    HUGE_HEADER = "huge-header"
    EARLY_HINTS = "early-hints"
    FLOOD = "1xx-flood"


HARMLESS = frozenset(
    {
        Fault.BIG_INTEGER,
        Fault.DUPLICATE_KEYS,
        Fault.LINE_SEPARATORS,
        Fault.UNKNOWN_FIELDS,
        Fault.MISSING_FIELDS,
        Fault.ECHO_TOKEN,
        Fault.BOM,
        Fault.DOUBLE_ENCODING,
        Fault.MULTI_MEMBER,
        Fault.RAW_DEFLATE,
        Fault.EARLY_HINTS,
    }
)
"""Odd, but a result all the same: a client has to read it."""

DESCRIPTIONS: Mapping[Fault, str] = {
    Fault.REJECTED: "400, always",
    Fault.GONE: "410, always, of an interaction that was processed",
    Fault.NO_CONTENT: "204 without a body, of an interaction that was processed",
    Fault.CONFLICT: "409, always, of an interaction that was processed",
    Fault.NO_CX_AI: "404, always, of an interaction that was declared without CX AI",
    Fault.EMPTY: "200 with an empty body",
    Fault.REDIRECT: "302 to another path; stats count who follows, and with the token",
    Fault.REDIRECT_TO_HOST: "302 to another host name; stats count who follows, and with the token",
    Fault.RETRY_AFTER_SECONDS: "429 with Retry-After: 1, once",
    Fault.RETRY_AFTER_DATE: "429 with a date 2 s ahead as Retry-After, once",
    Fault.RETRY_AFTER_PAST: "429 with a date long past as Retry-After, once",
    Fault.RETRY_AFTER_HUGE: "429 with a Retry-After of 300 years, once",
    Fault.RETRY_AFTER_GARBAGE: "429 with a Retry-After that is neither number nor date, once",
    Fault.ERROR_BODY_HUGE: "429 with Retry-After: 1 and a body of 9 MB, once",
    Fault.ERROR_BODY_CUT: "429 with Retry-After: 1 and a body that ends too early, once",
    Fault.NAN: "a score is NaN",
    Fault.INFINITY: "a score is -Infinity",
    Fault.OVERFLOW: "a score is 1e400",
    Fault.NUMBER_AS_TEXT: 'a score is the text "NaN"',
    Fault.BIG_INTEGER: "an offset is 2**64",
    Fault.LONG_INTEGER: "an offset has 5,000 digits",
    Fault.DEEP: "arrays nested 300 deep in an unknown field",
    Fault.DEEPER: "arrays nested 2,000 deep in an unknown field",
    Fault.DUPLICATE_KEYS: "a participant comes twice; the last one is right",
    Fault.SCALAR: "the body is 42",
    Fault.OTHER_JSON: "the body is a JSON object without any participant",
    Fault.HALF_JSON: "the JSON ends in the middle, its content coding doesn't",
    Fault.LINE_SEPARATORS: "U+2028, line feeds and NUL in a name",
    Fault.UNKNOWN_FIELDS: "fields that nobody has announced",
    Fault.MISSING_FIELDS: "fields of the documented form are not there",
    Fault.ECHO_TOKEN: "an unknown field holds the token, as a key and as a value",
    Fault.BOM: "the body begins with a byte order mark",
    Fault.BAD_UTF8: "a name is not UTF-8",
    Fault.BOMB_GZIP: "200 MB of gzip, 200 kB on the wire",
    Fault.BOMB_BR: "200 MB of br, less than 1 kB on the wire",
    Fault.LYING_ENCODING: "says br, is gzip",
    Fault.UNDONE_ENCODING: "says gzip, is plain JSON",
    Fault.DOUBLE_ENCODING: "gzip within br, and says so",
    Fault.UNKNOWN_ENCODING: "a content coding that is not registered",
    Fault.MULTI_MEMBER: "gzip in three members",
    Fault.RAW_DEFLATE: "deflate without its zlib wrapper",
    Fault.BIT_FLIP: "gzip with one bit flipped",
    Fault.NO_REPLY: "the connection closes without a reply",
    Fault.DRIP_HEADERS: "headers drip, a byte every 0.2 s, without an end",
    Fault.DRIP_BODY: "the body drips, a byte every 0.2 s",
    Fault.LENGTH_TOO_LONG: "Content-Length says more than comes",
    Fault.LENGTH_TOO_SHORT: "Content-Length says less than comes",
    Fault.BAD_CHUNK: "chunked, with a chunk size that is no number",
    Fault.NO_LAST_CHUNK: "chunked, and closed before the last chunk",
    Fault.BAD_STATUS_LINE: "the status line is none of HTTP's",
    Fault.HUGE_HEADER: "a header of 100 kB",
    Fault.EARLY_HINTS: "103 before the response",
    Fault.FLOOD: "10,000 times 102, then the connection closes",
}
"""What a user is told, one line each."""
