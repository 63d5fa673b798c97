"""Replies of the API as they were read, before any decision about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cxai.policy.verdict import FailureStage


class Endpoint(StrEnum):
    """What is requested of an interaction."""

    RESULT = "result"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response: a status line that was read, and its body, still in its content coding.

    The body of a 200 has the announced length. With any other status it is what arrived
    immediately, up to 16 KiB; `is_cut` is whether there may have been more. `retry_after_s` is the
    Retry-After header in seconds from now (0 or more), None if absent or invalid.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    content_encoding: str = ""
    retry_after_s: float | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A reply whose body has not been parsed yet, and the request that it answers."""

    interaction_id: str
    endpoint: Endpoint
    reply: Reply


class Form(StrEnum):
    """Where the body of a refusal comes from.

    EMPTY: there is no body. OWN: JSON in the API's own form (`errorMessage`, or problem+json of RFC
    9457). FOREIGN: anything else, as sent by a gateway, a proxy or a firewall.
    """

    EMPTY = "empty"
    OWN = "own"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply without the requested body: its status, and the message that came with it.

    `message` is at most 200 characters long, printable and without secrets.
    """

    status: int
    form: Form = Form.EMPTY
    message: str | None = None
    retry_after_s: float | None = None


class FailureKind(StrEnum):
    """Kinds of failure other than an HTTP status.

    NO_CONNECTION: none could be opened, or the server had closed the one that was kept open.
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
    """No usable reply. `reason` is short and quotes neither headers nor body.

    `advice` says what to check, in whole sentences, or is empty. `status`, `message` and
    `retry_after_s` are those of a reply whose body is unusable, as in Refusal.
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
    """The API's own words about an ID, for its row among the failures.

    `status` is the HTTP status of the last reply, `message` the last message with that status
    (bounded, printable, without the token; None if the last request had no reply), `state` the
    status endpoint's last state, as sent.
    """

    status: int | None = None
    message: str | None = None
    state: str | None = None


class Processing(StrEnum):
    """How far an interaction has been processed."""

    AWAITING_FILE = "awaiting_file"
    UNDER_WAY = "under_way"
    PROCESSED = "processed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """A reply of the status endpoint.

    `state` is the state's name as sent and `message` its `errorMessage`, both bounded and
    printable; `is_known` is whether the API documents that state. `declared_s` is when the
    interaction was declared, in seconds since 1970 (UTC), or None. `retry_after_s` is as in Reply.
    """

    processing: Processing
    state: str = ""
    is_known: bool = True
    declared_s: float | None = None
    message: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Where a result differs from the documentation, by path, without indexes or values.

    `unknown` has the paths of undocumented fields, `absent` those of fields that the body lacks.
    `more` counts unknown fields that were kept as well, but are too many to be named.
    """

    unknown: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    more: int = 0


NO_DRIFT = Drift()


@dataclass(frozen=True, slots=True)
class Record:
    """A result as whole lines, by the part set that they belong to."""

    lines: Mapping[str, bytes] = field(repr=False)
    drift: Drift = NO_DRIFT


ParsedReply = Record | Status | Refusal | Failure
"""A reply with its body parsed: all that the policy decides by."""
