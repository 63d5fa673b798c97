"""Parses a reply into a record, a status, a refusal or a failure."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from cxai.core.resource import Resource
from cxai.policy.reply import (
    Arrival,
    Endpoint,
    Failure,
    FailureKind,
    Form,
    ParsedReply,
    Record,
    Refusal,
    Reply,
    Status,
)
from cxai.policy.table import has_body
from cxai.resources.json_body import parse
from cxai.resources.masking import Secrets, masked
from cxai.resources.message import message
from cxai.resources.processing import processing

Decode = Callable[[bytes, str, int], bytes | Failure]
"""Decodes a body, given its Content-Encoding and the most bytes of the result.

A larger result is a TOO_LARGE failure.
"""

SMALL_BYTES = 2**20
"""Bodies up to this size, as sent and decoded, take milliseconds and little memory to parse."""

_MOST_ERROR_BYTES = 2**16
_ERROR_MESSAGE = "errormessage"
_BESIDE_TITLE = ("type", "status", "traceid")


class ReplyParser:
    """Parses one reply at a time; no IO, never raises. No result contains any of `secrets`."""

    def __init__(self, resource: Resource, decode: Decode, secrets: Secrets | None = None) -> None:
        self._resource = resource
        self._decode = decode
        self._secrets = secrets

    def parse(self, arrival: Arrival, at: datetime, most_bytes: int) -> ParsedReply:
        """Parse a reply that was received at `at`.

        A 200 whose body is larger than `most_bytes` is a TOO_LARGE failure. With any other status,
        a body that can't be decoded, or to more than 64 KiB, is FOREIGN and has no message.
        """
        reply = arrival.reply
        if not has_body(reply.status):
            return self._refusal(reply)
        body = self._decoded(reply, most_bytes)
        found: Record | Status | Failure
        if isinstance(body, Failure):
            found = body
        elif arrival.endpoint is Endpoint.RESULT:
            found = self._resource.read(arrival.interaction_id, body, at)
        else:
            found = processing(body)
        if isinstance(found, Failure):
            return self._with_reply(found, reply)
        if isinstance(found, Status):
            return replace(found, retry_after_s=reply.retry_after_s)
        return found

    def _refusal(self, reply: Reply) -> Refusal:
        form, words = Form.EMPTY, None
        if reply.body or reply.is_cut:
            body = self._decoded(reply, _MOST_ERROR_BYTES)
            if isinstance(body, Failure):
                form = Form.FOREIGN
            else:
                form, words = form_of(body), message(body)
            if form is Form.EMPTY and reply.is_cut:
                form = Form.FOREIGN  # there may have been more
        return Refusal(reply.status, form, words, reply.retry_after_s)

    def _with_reply(self, failure: Failure, reply: Reply) -> Failure:
        """Return the failure of a body with status, message and Retry-After of its reply.

        A body that is too large has no message, since decoding it again takes milliseconds.
        """
        words = None
        if not is_too_large(failure):
            body = self._decoded(reply, _MOST_ERROR_BYTES)
            words = None if isinstance(body, Failure) else message(body)
        return replace(
            failure, status=reply.status, message=words, retry_after_s=reply.retry_after_s
        )

    def _decoded(self, reply: Reply, most_bytes: int) -> bytes | Failure:
        """Return the body, decoded and without secrets."""
        body = self._decode(reply.body, reply.content_encoding, most_bytes)
        if self._secrets is None or isinstance(body, Failure):
            return body
        return masked(body, self._secrets)


def is_too_large(seen: ParsedReply) -> bool:
    """Whether the body of a reply exceeded its limit."""
    return isinstance(seen, Failure) and seen.kind is FailureKind.TOO_LARGE


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
