"""Replies in words: for the reason of a verdict, and for the operator."""

from collections.abc import Mapping

from cxai.policy.reply import Failure, FailureKind, Form, ParsedReply, Record, Refusal, Status
from cxai.policy.table import Key, keys

_MOST_CHARS = 80
_ANOTHER = "Check base_url, and whether a proxy, gateway or firewall answers in place of the API."

_ADVICE: Mapping[Key, str] = {
    "2xx": _ANOTHER,
    "3xx": "Check base_url, and whether a proxy or a sign-in page redirects the requests.",
    ("4xx", Form.FOREIGN): _ANOTHER,
    "4xx": "Check base_url.",
    401: "Check the token.",
    402: "Check the account.",
    403: "Check the token.",
    (403, Form.FOREIGN): _ANOTHER,
    407: "Check the proxy and its credentials.",
    408: "",
    425: "",
    429: "",
    FailureKind.NOT_JSON: _ANOTHER,
    FailureKind.NOT_A_RESULT: "Check base_url and any proxy. If they are right, the API's results"
    " have changed, and this version can't read them.",
    FailureKind.UNSUPPORTED_ENCODING: "Check whether a proxy changes the content coding of the"
    " replies.",
}
"""What to check if every request gets this reply, by the keys of the table."""


def kind(seen: ParsedReply) -> str:
    """Return a short name for a reply, to count it by; there are few."""
    match seen:
        case Failure(kind):
            return kind.value
        case Status(processing):
            return processing.value
        case Refusal(status):
            return f"HTTP {status}"
        case _:
            return "record"


OVERLOADS = frozenset({kind(Refusal(503))})
"""Kinds of failure that indicate a limit if they are many among the answers."""


def reason(seen: ParsedReply) -> str:
    """Describe a reply, without any words of the API."""
    return seen.reason if isinstance(seen, Failure) else kind(seen)


def words(seen: ParsedReply, interaction_id: str = "") -> str:
    """Describe a reply with the API's message, if it has one, but without the ID."""
    if isinstance(seen, Failure):
        is_broken = seen.kind is FailureKind.BROKEN_OFF
        return f"connection broken off: {seen.reason}" if is_broken else seen.reason
    message = None if isinstance(seen, Record) else without_id(seen.message, interaction_id)
    return f"{kind(seen)}: {message[:_MOST_CHARS]}" if message else kind(seen)


def advice(seen: ParsedReply) -> str:
    """Say what to check if every ID gets this reply, in whole sentences; it may be empty."""
    if isinstance(seen, Failure) and seen.advice:
        return seen.advice
    return next((_ADVICE[key] for key in keys(seen) if key in _ADVICE), "")


def without_id(message: str | None, interaction_id: str) -> str | None:
    """Return the API's message without the ID, so that equal messages are counted together."""
    if message is None or not interaction_id:
        return message
    for spelling in (interaction_id, interaction_id.lower(), interaction_id.upper()):
        message = message.replace(spelling, "[id]")
    return message
