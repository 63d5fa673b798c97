"""Where the body of a refusal comes from: the API, or something in front of it."""

from typing import Any

from cxai.policy.reply import Failure, Form
from cxai.resources.json_body import parse

_ERROR_MESSAGE = "errormessage"
_BESIDE_TITLE = ("type", "status", "traceid")


def form_of(body: bytes) -> Form:
    """Return the form of a refusal's decoded body; never raises.

    OWN is a JSON object with an `errorMessage` that is a text or null, or the problem+json of RFC
    9457: a `title` that is a text, and one of `type`, `status` and `traceId` (which ASP.NET adds);
    the case of names does not matter. EMPTY is a body of white space at most. Everything else is
    FOREIGN, including a truncated body.

    Sources: `errorMessage` is documented for a sister endpoint; the rest is inferred.
    """
    if not body or body.isspace():
        return Form.EMPTY
    value = parse(body)
    return Form.OWN if not isinstance(value, Failure) and _is_own(value) else Form.FOREIGN


def _is_own(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    fields = {key.casefold(): content for key, content in value.items()}
    if _ERROR_MESSAGE in fields:
        return isinstance(fields[_ERROR_MESSAGE], str | None)
    return isinstance(fields.get("title"), str) and any(key in fields for key in _BESIDE_TITLE)
