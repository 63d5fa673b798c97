"""The faults that a response can have. Another fault is one entry in the table `Fault`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum, unique
from typing import Self

from cxai.simulator import coding_faults as coded
from cxai.simulator import response_faults as reply
from cxai.simulator import wire_faults as wire
from cxai.simulator.bodies import result_json
from cxai.simulator.coding import IDENTITY, encode, encoded_result
from cxai.simulator.exchange import RequestContext, Response, found

Change = Callable[[bytes], bytes]
"""Changes the JSON of a good result."""

ALL = re.compile(rb".+", re.DOTALL)
START = re.compile(rb"^")
BRACE = re.compile(rb"^{")
SCORE = re.compile(rb'(?<="score":)[^,]+')
OFFSET = re.compile(rb'(?<="minScoreOffset":)[^,]+')
MINIMUM = re.compile(rb'"minScore":[^,]+,')
NAME = re.compile(rb'"Customer Satisfaction"')


def sub(pattern: re.Pattern[bytes], replacement: bytes, count: int = 1) -> Change:
    """Replace the first `count` matches, or all if that is 0."""
    return lambda body: pattern.sub(lambda _match: replacement, body, count)


@dataclass(frozen=True, slots=True)
class Entry:
    """A fault: its name, what it shows, and the steps of a good response that it replaces.

    - `respond` makes the whole response.
    - `json` changes the JSON of the result.
    - `encode` encodes that, and chooses the Content-Encoding.
    - `send` writes the response to the connection.
    - `harmless`: odd but valid; a client has to read the result.
    - `times`: how many responses of an ID have it in the scenario of this name, None for all.
    """

    name: str
    shows: str
    respond: reply.Respond | None = None
    json: Change | None = None
    encode: coded.CorruptCoding | None = None
    send: wire.Send | None = None
    harmless: bool = False
    times: int | None = None


@unique
class Fault(StrEnum):
    """What can be wrong with the result of a `faulty` ID; its status is always right."""

    entry: Entry

    def __new__(cls, entry: Entry) -> Self:
        """Make the member that is named and equal to `entry.name`."""
        fault = str.__new__(cls, entry.name)
        fault._value_, fault.entry = entry.name, entry
        return fault

    def inject(self, context: RequestContext) -> Response:
        """Return a response with this fault."""
        respond, send = self.entry.respond or self._result, self.entry.send
        response = respond(context)
        return replace(response, fault=self.value, script=send(response) if send else None)

    def _result(self, context: RequestContext) -> Response:
        seed, variant, coding = context.seed, context.variant, context.coding
        if self.entry.encode:
            body, coding = self.entry.encode(result_json(seed, variant), context.draw)
        elif self.entry.json:
            body = encode(self.entry.json(result_json(seed, variant)), coding)
        else:
            body = encoded_result(seed, variant, coding)
        return found(body, coding)

    # fmt: off
    REJECTED = Entry("rejected", "400, always", respond=reply.status(400))
    GONE = Entry("gone", "410, always, for a processed interaction", respond=reply.status(410))
    NO_CONTENT = Entry("no-content", "204 without a body, for a processed interaction",
        respond=reply.status(204))
    CONFLICT = Entry("conflict", "409, always, for a processed interaction",
        respond=reply.status(409))
    NO_CX_AI = Entry("no-cx-ai", "404, always, for an interaction declared without CX AI",
        respond=reply.status(404))
    EMPTY = Entry("empty", "200 with an empty body", json=sub(ALL, b""))
    REDIRECT = Entry("redirect", "302 to another path; the stats count clients that follow it",
        respond=reply.redirect(reply.ELSEWHERE))
    REDIRECT_TO_HOST = Entry("redirect-to-host", "302 to another host name, counted likewise",
        respond=reply.redirect("http://localhost:{port}" + reply.ELSEWHERE))
    RETRY_AFTER_SECONDS = Entry("retry-after-seconds", "429 with Retry-After: 1, once",
        respond=reply.throttled("1"), times=1)
    RETRY_AFTER_DATE = Entry("retry-after-date", "429 with a Retry-After date 2 s ahead, once",
        respond=reply.throttled_until(timedelta(seconds=2)), times=1)
    RETRY_AFTER_PAST = Entry("retry-after-past", "429 with a Retry-After date long past, once",
        respond=reply.throttled("Sun, 06 Nov 1994 08:49:37 GMT"), times=1)
    RETRY_AFTER_HUGE = Entry("retry-after-huge", "429 with a Retry-After of 300 years, once",
        respond=reply.throttled("9467280000"), times=1)
    RETRY_AFTER_GARBAGE = Entry("retry-after-garbage", "429 with a malformed Retry-After, once",
        respond=reply.throttled("soon, -1e999"), times=1)
    ERROR_BODY_HUGE = Entry("error-body-huge", "429 with Retry-After: 1 and a body of 9 MB, once",
        respond=reply.throttled("1", padding_bytes=9_000_000), times=1)
    ERROR_BODY_CUT = Entry("error-body-cut", "429 with Retry-After: 1 and a truncated body, once",
        respond=reply.throttled("1"), send=wire.with_head(length=lambda n: n + 1_000), times=1)

    NAN = Entry("nan", "a score is NaN", json=sub(SCORE, b"NaN"))
    INFINITY = Entry("infinity", "a score is -Infinity", json=sub(SCORE, b"-Infinity"))
    OVERFLOW = Entry("overflow", "a score is 1e400", json=sub(SCORE, b"1e400"))
    NUMBER_AS_TEXT = Entry("number-as-text", 'a score is the text "NaN"', json=sub(SCORE, b'"NaN"'))
    BIG_INTEGER = Entry("big-integer", "an offset is 2**64",
        json=sub(OFFSET, b"18446744073709551616"), harmless=True)
    LONG_INTEGER = Entry("long-integer", "an offset has 5,000 digits",
        json=sub(OFFSET, b"9" * 5_000))
    DEEP = Entry("deep", "arrays nested 300 deep in an unknown field",
        json=sub(BRACE, b'{"deep":' + b"[" * 300 + b"]" * 300 + b","))
    DEEPER = Entry("deeper", "arrays nested 2,000 deep in an unknown field",
        json=sub(BRACE, b'{"deep":' + b"[" * 2_000 + b"]" * 2_000 + b","))
    DUPLICATE_KEYS = Entry("duplicate-keys", "a participant appears twice; the last one is right",
        json=sub(BRACE, b'{"allParticipants":null,'), harmless=True)
    SCALAR = Entry("scalar", "the body is 42", json=sub(ALL, b"42"))
    OTHER_JSON = Entry("other-json", "the body is a JSON object without any participant",
        json=sub(ALL, b'{"message":"All is well."}'))
    HALF_JSON = Entry("half-json", "the JSON ends halfway, its content coding is complete",
        json=lambda body: body[: len(body) // 2])
    LINE_SEPARATORS = Entry("line-separators", "U+2028, line feeds and NUL in a name",
        json=sub(NAME, b'"Customer\xe2\x80\xa8\\r\\n\\u2029\\u0000Satisfaction"'), harmless=True)
    UNKNOWN_FIELDS = Entry("unknown-fields", "fields that are not documented",
        json=sub(BRACE, b'{"newField":{"by":["cxai","\xe2\x80\xa8"],"since":2026},'), harmless=True)
    MISSING_FIELDS = Entry("missing-fields", "documented fields are missing",
        json=sub(MINIMUM, b"", count=0), harmless=True)
    ECHO_TOKEN = Entry("echo-token", "an unknown field holds the token, as a key and as a value",
        respond=reply.echo_token, harmless=True)
    BOM = Entry("bom", "the body begins with a byte order mark",
        json=sub(START, b"\xef\xbb\xbf"), harmless=True)
    BAD_UTF8 = Entry("bad-utf8", "a name is not UTF-8",
        json=sub(NAME, b'"Customer \xff Satisfaction"'))

    BOMB_GZIP = Entry("bomb-gzip", "200 MB of gzip, 200 kB on the wire", encode=coded.bomb("gzip"))
    BOMB_BR = Entry("bomb-br", "200 MB of br, less than 1 kB on the wire", encode=coded.bomb("br"))
    LYING_ENCODING = Entry("lying-encoding", "declared as br, encoded with gzip",
        encode=coded.mislabelled("gzip", "br"))
    UNDONE_ENCODING = Entry("undone-encoding", "declared as gzip, sent as plain JSON",
        encode=coded.mislabelled(IDENTITY, "gzip"))
    DOUBLE_ENCODING = Entry("double-encoding", "gzip within br, and declared as such",
        encode=coded.double_encoded, harmless=True)
    UNKNOWN_ENCODING = Entry("unknown-encoding", "a content coding that is not registered",
        encode=coded.mislabelled(IDENTITY, "x-simulated"))
    MULTI_MEMBER = Entry("multi-member", "gzip in three members",
        encode=coded.multi_member, harmless=True)
    RAW_DEFLATE = Entry("raw-deflate", "deflate without its zlib wrapper",
        encode=coded.raw_deflate, harmless=True)
    BIT_FLIP = Entry("bit-flip", "gzip with one bit flipped", encode=coded.bit_flip)

    NO_REPLY = Entry("no-reply", "the connection closes without a response", send=wire.raw(b""))
    DRIP_HEADERS = Entry("drip-headers", "headers without an end, one byte every 0.2 s",
        send=wire.drip_headers)
    DRIP_BODY = Entry("drip-body", "the body, one byte every 0.2 s", send=wire.drip_body)
    LENGTH_TOO_LONG = Entry("length-too-long", "Content-Length is more than is sent",
        send=wire.with_head(length=lambda n: n + 1_000))
    LENGTH_TOO_SHORT = Entry("length-too-short", "Content-Length is less than is sent",
        send=wire.with_head(length=lambda n: n // 2))
    BAD_CHUNK = Entry("bad-chunk", "chunked, with a chunk size that is not a number",
        send=wire.bad_chunk)
    NO_LAST_CHUNK = Entry("no-last-chunk", "chunked, and closed before the last chunk",
        send=wire.no_last_chunk)
    BAD_STATUS_LINE = Entry("bad-status-line", "a malformed status line",
        send=wire.with_head("HTTP/one 2OO"))
    HUGE_HEADER = Entry("huge-header", "a header of 100 kB",
        send=wire.with_head(headers=f"X-Huge: {'.' * 100_000}\r\n"))
    EARLY_HINTS = Entry("early-hints", "103 before the response",
        send=wire.with_head("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK"), harmless=True)
    FLOOD = Entry("1xx-flood", "10,000 times 102, then the connection closes",
        send=wire.raw(b"HTTP/1.1 102 Processing\r\n\r\n" * 10_000))
    # fmt: on
