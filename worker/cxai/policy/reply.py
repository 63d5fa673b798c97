"""What came back from the API, as it was really read, before anyone has judged it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cxai.policy.verdict import FailureStage


class Endpoint(StrEnum):
    """What a request asks of one interaction."""

    RESULT = "result"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response: a status line that was read, and its body.

    The body of a 200 is of the announced length; of any other status it is what came at once, up
    to 16 KiB, since there the status says it all; `is_cut` is whether there may have been more.
    `body` is as sent, its content coding not yet undone. `retry_after_s` is the Retry-After header
    in seconds from now (0 or more), None if absent or not understood.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    content_encoding: str = ""
    retry_after_s: float | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A reply whose body has not been read yet, and the request that it answers."""

    interaction_id: str
    endpoint: Endpoint
    reply: Reply


class Form(StrEnum):
    """Whose words the body of a refusal is.

    EMPTY: there is no body. OWN: JSON in a form of the API itself (`errorMessage`, or problem+json
    of RFC 9457). FOREIGN: anything else; a gateway, a proxy or a firewall has answered instead.
    """

    EMPTY = "empty"
    OWN = "own"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that is not the body that was asked for: its status, and the words that came with it.

    `message` is at most 200 characters long, printable and without secrets; None if there is none.
    `retry_after_s` is that of the reply, as in Reply.
    """

    status: int
    form: Form = Form.EMPTY
    message: str | None = None
    retry_after_s: float | None = None


class FailureKind(StrEnum):
    """Kinds of failure other than an HTTP status.

    NO_CONNECTION: there was no connection for the request to go over, or the server had closed the
    one that was kept. That is no ID's fault, and costs none an attempt.
    """

    NO_CONNECTION = "no_connection"
    TIMEOUT = "timeout"
    BROKEN_OFF = "broken_off"
    UNDECODABLE = "undecodable"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    NOT_A_RESULT = "not_a_result"


@dataclass(frozen=True, slots=True)
class Failure:
    """No usable reply. `reason` is short and quotes nothing of headers or body.

    `advice` says to an operator what to check, in whole sentences; empty if there is nothing.
    `status`, `message` and `retry_after_s` are those of the reply whose body is no use, as in
    Refusal; None if there was no reply.
    """

    kind: FailureKind
    stage: FailureStage
    reason: str
    advice: str = field(default="", compare=False)
    retry_after_s: float | None = None
    status: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What the API itself said of an ID, for the row that lists it among the failures.

    `status` is the HTTP status of the last reply, `message` the last words that came with that
    status (bounded, printable, without the token), `state` the status endpoint's last state, as
    sent. None where there is none; `message` also if the last request got no reply.
    """

    status: int | None = None
    message: str | None = None
    state: str | None = None


class Processing(StrEnum):
    """How far an interaction is."""

    AWAITING_FILE = "awaiting_file"
    UNDER_WAY = "under_way"
    PROCESSED = "processed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """What the status endpoint says of an interaction.

    `state` is the state's name as sent and `message` its `errorMessage`, both bounded and
    printable; `is_known` is whether the API documents that state. `declared_s` is when the
    interaction was declared, in seconds since 1970 (UTC); None if that was not said.
    `retry_after_s` is that of the reply, as in Reply.
    """

    processing: Processing
    state: str = ""
    is_known: bool = True
    declared_s: float | None = None
    message: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Where a result is not as documented, by path, without indexes or values.

    `unknown` paths are of fields that the form does not know, `absent` ones of fields that the body
    lacks. `more` counts unknown fields that were kept as well, but are too many to be named.
    """

    unknown: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    more: int = 0


NO_DRIFT = Drift()


@dataclass(frozen=True, slots=True)
class Record:
    """A result, read and laid out: its whole lines, by the part set that they belong to."""

    lines: Mapping[str, bytes] = field(repr=False)
    drift: Drift = NO_DRIFT


ParsedReply = Record | Status | Refusal | Failure
"""What came back for a request, its body read: all that is judged by."""
