"""THE table: what each reply and each failure means for its ID, and what it says about the API.

One row a key. A reply is looked up by its status and its form, then by its status, then by its
class and form, then by its class; a failure by its kind; a status by how far the interaction is.
Nothing else in this package compares a status code or a text.

Sources: the API's documentation (401, 404), its sister endpoints (408 and 429 are retryable), RFC
9110 for the rest. Whose words a reply has is the weakest fact of all (`Form`): so a refusal in
foreign words gets a second look before it counts, and `rejected` is asked again by the next run.
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
    """What a reply or a failure says about the API, whatever it means for its ID.

    ANSWERED: the API itself spoke about this ID. THROTTLED: it asks for fewer requests.
    TOKEN_REFUSED: it finds the token wrong. FAILED: that was no answer of the API.
    """

    ANSWERED = auto()
    THROTTLED = auto()
    TOKEN_REFUSED = auto()
    FAILED = auto()


class Meaning(Enum):
    """What a reply or a failure means for its ID."""

    RECORD = auto()
    MISSING = auto()  # no result: never was, not yet, or no more; the status endpoint can say
    NOT_YET = auto()  # the same, but without asking for the status it is worth another look
    GONE = auto()  # the same, and it does not come back
    PENDING = auto()  # being processed
    AWAITING_FILE = auto()  # declared, and nothing to process has arrived
    PROCESSED = auto()  # there should be a result
    UNPROCESSABLE = auto()  # there will never be a result
    UNKNOWN = auto()  # no such interaction
    LIMIT = auto()  # too many requests: no fault of this ID
    TRY_AGAIN = auto()  # may go well next time
    TRY_THEN_STATUS = auto()  # the same; when it doesn't, the status endpoint may know better
    FINAL = auto()  # asking again would give the same


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    `counts` is whether it costs the ID one of its attempts; it does not where the ID can't be at
    fault. `verdict` is where it leads, at once (FINAL) or when the attempts are used up; `most` is
    how many attempts there are, None for as many as the rules allow.
    """

    meaning: Meaning
    signal: Signal
    counts: bool = False
    verdict: Verdict = Verdict.EXHAUSTED
    most: int | None = None


OK = 200
"""The status whose body is what was asked for."""

RETRY_AFTER = "Retry-After"
"""The second half of a key: the reply says when to ask again."""

ANYTHING_ELSE = "anything else"
"""The key of all that has no row of its own: another 5xx, or what is no HTTP status at all."""

Key = int | str | tuple[int | str, str]
"""A status, a class ("4xx"), a FailureKind or a Processing; the first two also with a Form."""

_SECOND_LOOK = 2

_FAILED = Row(Meaning.TRY_AGAIN, Signal.FAILED, counts=True)
_LIMIT = Row(Meaning.LIMIT, Signal.THROTTLED)
_PENDING = Row(Meaning.PENDING, Signal.ANSWERED)


def _answer(meaning: Meaning, verdict: Verdict = Verdict.EXHAUSTED) -> Row:
    return Row(meaning, Signal.ANSWERED, counts=meaning is Meaning.TRY_AGAIN, verdict=verdict)


def _no_answer(verdict: Verdict, most: int | None = _SECOND_LOOK) -> Row:
    return replace(_FAILED, verdict=verdict, most=most)


_REFUSED = _no_answer(Verdict.REJECTED)
_TOKEN = replace(_REFUSED, signal=Signal.TOKEN_REFUSED)

_COMMON: dict[Key, Row] = {
    202: _PENDING,
    401: _TOKEN,
    402: _REFUSED,  # the account's trouble, whoever says it
    403: _TOKEN,
    (403, Form.FOREIGN): _REFUSED,  # a firewall's: not about the token
    (403, RETRY_AFTER): _LIMIT,  # a token is not right later
    407: _REFUSED,  # a proxy's trouble, whoever says it
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

# A gateway without the route says 404 to everything; one that replaces the API's 404 by its own
# page says it for a missing result. The API itself can tell, so its status endpoint is asked.
_GATEWAYS_404 = replace(_REFUSED, meaning=Meaning.TRY_THEN_STATUS)

_RESULT: dict[Key, Row] = _COMMON | {
    203: _FAILED,  # changed by a proxy on the way: not what the API has sent
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
    FailureKind.NOT_JSON: _no_answer(Verdict.BAD_BODY, most=None),  # a page, perhaps for an hour
    FailureKind.NOT_A_RESULT: _no_answer(Verdict.BAD_BODY),
}

# The result is missing and its status can't be read: nothing is known, so the ID is left open.
_UNREADABLE = _answer(Meaning.TRY_AGAIN)

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
"""What a reply means, by what was asked."""

RECORD = Row(Meaning.RECORD, Signal.ANSWERED, verdict=Verdict.OK)

ALONE = _FAILED
"""The row of a limit that only one ID meets: its own trouble."""


def row(seen: ParsedReply, endpoint: Endpoint) -> Row:
    """Look up what came back for `endpoint`.

    What comes with a Retry-After is called temporary by the server itself: neither final, nor sure
    to repeat.
    """
    if isinstance(seen, Record):
        return RECORD
    table = TABLE[endpoint]
    found = next(table[key] for key in keys(seen) if key in table)
    if seen.retry_after_s is not None:
        if found.meaning is Meaning.FINAL:
            return replace(found, meaning=Meaning.TRY_AGAIN, counts=True)
        if found.most is not None:
            return replace(found, most=None)
    return found


def keys(seen: ParsedReply) -> Iterator[Key]:
    """Yield the keys to look up what came back by, the most exact one first."""
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
    """Whether the body of a reply with this status is what was asked for."""
    return status == OK
