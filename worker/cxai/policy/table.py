"""The table: what each reply and failure means for its ID, and what it shows about the API.

A reply is looked up by its status and form, then by its status, by its class and form, and by its
class; a failure by its kind; a status by how far the interaction has been processed. No other code
compares a status code.

Sources: the API's documentation (401, 404), its sister endpoints (408 and 429 are retryable), RFC
9110 for the rest. The form of a body is the weakest evidence (`Form`): a refusal with a foreign
body is retried before it counts, and the next run retries what was `rejected`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from cxai.policy.reply import (
    Endpoint,
    Failure,
    FailureKind,
    Form,
    ParsedReply,
    Processing,
    Record,
    Status,
)
from cxai.policy.verdict import Verdict


class Signal(Enum):
    """What a reply or a failure shows about the API, whatever it means for its ID.

    ANSWERED: the API itself answered about this ID (a result, a status, "no such interaction",
    "rejected"). THROTTLED: it asks for fewer requests. TOKEN_REFUSED: it does not accept the token.
    FAILED: no answer (5xx, no connection, a redirect, a gateway's page, a body that is no result).
    """

    ANSWERED = auto()
    THROTTLED = auto()
    TOKEN_REFUSED = auto()
    FAILED = auto()


class Meaning(Enum):
    """What a reply or a failure means for its ID."""

    RECORD = auto()
    MISSING = auto()  # no result: unknown, not ready or deleted; the status endpoint decides
    NOT_YET = auto()  # the same, but worth waiting for if the status isn't requested
    GONE = auto()  # the same, and it won't come back
    PENDING = auto()  # being processed
    AWAITING_FILE = auto()  # declared, but its file hasn't arrived
    PROCESSED = auto()  # there should be a result
    UNPROCESSABLE = auto()  # there will never be a result
    UNKNOWN = auto()  # no such interaction
    LIMIT = auto()  # too many requests: not a failure of this ID
    RETRY = auto()  # may succeed next time
    RETRY_THEN_STATUS = auto()  # the same; if it doesn't, the status endpoint decides
    FINAL = auto()  # a retry would give the same


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    `counts` is whether it costs the ID an attempt; it doesn't if the ID can't be the cause.
    `verdict` is what it leads to, immediately (FINAL) or once the attempts are used up; `most` is
    the number of attempts, None for as many as the settings allow.
    """

    meaning: Meaning
    signal: Signal
    counts: bool = False
    verdict: Verdict = Verdict.EXHAUSTED
    most: int | None = None


OK = 200  # the status whose body is the requested one
RETRY_AFTER = "Retry-After"  # the second half of a key: the reply has that header
ANYTHING_ELSE = "anything else"  # the key without a row: another 5xx, or an invalid status

Key = int | str | tuple[int | str, str]
"""A status, a class ("4xx"), a FailureKind or a Processing; the first two also with a Form."""

_SECOND_LOOK = 2

_FAILED = Row(Meaning.RETRY, Signal.FAILED, counts=True)
_LIMIT = Row(Meaning.LIMIT, Signal.THROTTLED)
_PENDING = Row(Meaning.PENDING, Signal.ANSWERED)


def _answer(meaning: Meaning, verdict: Verdict = Verdict.EXHAUSTED) -> Row:
    return Row(meaning, Signal.ANSWERED, counts=meaning is Meaning.RETRY, verdict=verdict)


def _no_answer(verdict: Verdict, most: int | None = _SECOND_LOOK) -> Row:
    return replace(_FAILED, verdict=verdict, most=most)


_REFUSED = _no_answer(Verdict.REJECTED)
_TOKEN = replace(_REFUSED, signal=Signal.TOKEN_REFUSED)

_COMMON: dict[Key, Row] = {
    202: _PENDING,
    401: _TOKEN,
    402: _REFUSED,  # about the account, in any form
    403: _TOKEN,
    (403, Form.FOREIGN): _REFUSED,  # a firewall's page: not about the token
    (403, RETRY_AFTER): _LIMIT,  # temporary: not about the token
    407: _REFUSED,  # about the proxy, in any form
    408: _FAILED,
    425: _FAILED,
    429: _LIMIT,
    (503, RETRY_AFTER): _LIMIT,
    ANYTHING_ELSE: _FAILED,
    FailureKind.NO_CONNECTION: replace(_FAILED, counts=False),
    FailureKind.TIMEOUT: _FAILED,
    FailureKind.BROKEN_OFF: _FAILED,
    Processing.PROCESSED: _answer(Meaning.PROCESSED),
    Processing.UNDER_WAY: _PENDING,
    Processing.AWAITING_FILE: _answer(Meaning.AWAITING_FILE),
    Processing.FAILED: _answer(Meaning.UNPROCESSABLE, Verdict.PROCESSING_FAILED),
}

# A gateway without the route sends 404 for everything; one that replaces the API's 404 with its own
# page sends it for a missing result. So the API's status endpoint decides.
_GATEWAYS_404 = replace(_REFUSED, meaning=Meaning.RETRY_THEN_STATUS)

_RESULT: dict[Key, Row] = _COMMON | {
    203: _FAILED,  # changed by a proxy: not what the API sent
    204: _answer(Meaning.NOT_YET),
    404: _answer(Meaning.MISSING),
    (404, Form.FOREIGN): _GATEWAYS_404,
    409: _answer(Meaning.NOT_YET),
    (409, Form.FOREIGN): _REFUSED,
    410: _answer(Meaning.GONE),
    (410, Form.FOREIGN): _GATEWAYS_404,
    "2xx": _no_answer(Verdict.BAD_BODY),
    "3xx": _no_answer(Verdict.REDIRECTED),
    "4xx": _REFUSED,
    ("4xx", Form.OWN): _answer(Meaning.FINAL, Verdict.REJECTED),
    FailureKind.UNDECODABLE: _no_answer(Verdict.CORRUPT_BODY, most=None),
    FailureKind.UNSUPPORTED_ENCODING: _no_answer(Verdict.UNSUPPORTED_ENCODING),
    FailureKind.TOO_LARGE: _answer(Meaning.FINAL, Verdict.TOO_LARGE),
    # An error page, perhaps for an hour.
    FailureKind.NOT_JSON: _no_answer(Verdict.BAD_BODY, most=None),
    FailureKind.NOT_A_RESULT: _no_answer(Verdict.BAD_BODY),
}

# The result is missing and its status can't be read: the ID stays open.
_UNREADABLE = _answer(Meaning.RETRY)

_STATUS: dict[Key, Row] = _COMMON | {
    204: _UNREADABLE,
    404: _answer(Meaning.UNKNOWN, Verdict.NOT_FOUND),
    (404, Form.FOREIGN): _REFUSED,
    409: _UNREADABLE,
    (409, Form.FOREIGN): _FAILED,
    410: _answer(Meaning.UNKNOWN, Verdict.NOT_FOUND),
    (410, Form.FOREIGN): _REFUSED,
    ("4xx", Form.OWN): _UNREADABLE,
    FailureKind.UNDECODABLE: _FAILED,
    FailureKind.UNSUPPORTED_ENCODING: _FAILED,
    FailureKind.TOO_LARGE: _UNREADABLE,
    FailureKind.NOT_JSON: _FAILED,
    FailureKind.NOT_A_RESULT: _FAILED,
}

TABLE: Mapping[Endpoint, Mapping[Key, Row]] = {Endpoint.RESULT: _RESULT, Endpoint.STATUS: _STATUS}
"""What a reply means, by the requested endpoint."""

RECORD = Row(Meaning.RECORD, Signal.ANSWERED, verdict=Verdict.OK)

ALONE = _FAILED  # the row for a limit that refuses only one ID


def row(seen: ParsedReply, endpoint: Endpoint) -> Row:
    """Look up a reply from `endpoint`.

    With a Retry-After, the server calls the reply temporary: never final, and with all attempts.
    """
    if isinstance(seen, Record):
        return RECORD
    table = TABLE[endpoint]
    found = next(table[key] for key in keys(seen) if key in table)
    if seen.retry_after_s is not None:
        if found.meaning is Meaning.FINAL:
            return replace(found, meaning=Meaning.RETRY, counts=True)
        if found.most is not None:
            return replace(found, most=None)
    return found


def keys(seen: ParsedReply) -> Iterator[Key]:
    """Yield the keys by which a reply is looked up, the most specific one first."""
    match seen:
        case Failure(kind):
            yield kind
        case Status(processing):
            yield processing
        case Record():
            yield OK
        case refusal:
            status, hundreds = refusal.status, f"{refusal.status // 100}xx"
            if refusal.retry_after_s is not None:
                yield status, RETRY_AFTER
            yield status, refusal.form
            yield status
            yield hundreds, refusal.form
            yield hundreds
            yield ANYTHING_ELSE


def has_body(status: int) -> bool:
    """Whether a reply with this status has the requested body."""
    return status == OK
