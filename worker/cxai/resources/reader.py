"""Reads what came back for a request: a record, a status, a refusal, or why it is none of these."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from cxai.core.ports import Resource
from cxai.policy.reply import Arrival, Failure, Form, Question, Refusal, Reply, Seen, Trouble
from cxai.policy.table import has_body
from cxai.resources.masking import Secrets, masked
from cxai.resources.message import message
from cxai.resources.processing import processing
from cxai.resources.refusal import form_of

_T = TypeVar("_T")

Decode = Callable[[bytes, str, int], bytes | Failure]
"""Undoes the content codings (a Content-Encoding header) of a body.

It becomes no larger than the given number of bytes; a TOO_LARGE failure otherwise.
"""

SMALL_BYTES = 2**20
"""Bodies up to this size, decoded, are read on the event loop: that takes milliseconds."""

_MOST_ERROR_BYTES = 2**16


class BodyReader:
    """Reads replies. An adapter of `ports.Reader`; never raises.

    Bodies are decoded to at most `most_bytes`. What may take long, since it is large or a bomb, is
    decoded, read and laid out on `thread`, so that requests go on. None of `secrets` is in anything
    that is returned.
    """

    at_once = 1

    def __init__(
        self,
        resource: Resource,
        decode: Decode,
        most_bytes: int,
        thread: Executor,
        secrets: Secrets | None = None,
    ) -> None:
        self._resource = resource
        self._decode = decode
        self._most_bytes = most_bytes
        self._small_bytes = min(SMALL_BYTES, most_bytes)
        self._thread = thread
        self._secrets = secrets

    async def read(self, arrived: Sequence[Arrival], at: datetime) -> Sequence[Seen]:
        """Return what each reply is, in full: see `Record`, `Status`, `Refusal` and `Failure`.

        `at` is when they came. A body of more than 64 KiB, decoded, says nothing as a message, and
        a refusal with such a body, or with one that can't be decoded, is FOREIGN.
        """
        return [await self._seen(one, at) for one in arrived]

    async def _seen(self, arrival: Arrival, at: datetime) -> Seen:
        reply = arrival.reply
        if not has_body(reply.status):
            return self._refusal(reply)
        if arrival.question is Question.STATUS:
            status = await self._read(reply, processing)
            if not isinstance(status, Failure):
                return replace(status, retry_after_s=reply.retry_after_s)
            return self._with_reply(status, reply)
        found = await self._read(
            reply, lambda body: self._resource.read(arrival.interaction_id, body, at)
        )
        return self._with_reply(found, reply) if isinstance(found, Failure) else found

    def _refusal(self, reply: Reply) -> Refusal:
        form, words = Form.EMPTY, None
        if reply.body or reply.is_cut:
            body = self._decoded(reply, _MOST_ERROR_BYTES)
            if isinstance(body, Failure):
                form = Form.FOREIGN
            else:
                form, words = form_of(body), message(body)
            if form is Form.EMPTY and reply.is_cut:
                form = Form.FOREIGN  # there was more
        return Refusal(reply.status, form, words, reply.retry_after_s)

    def _with_reply(self, failure: Failure, reply: Reply) -> Failure:
        """Return the failure of a body with what else is known of its reply."""
        body = self._decoded(reply, _MOST_ERROR_BYTES)
        return replace(
            failure,
            status=reply.status,
            message=None if isinstance(body, Failure) else message(body),
            retry_after_s=reply.retry_after_s,
        )

    async def _read(self, reply: Reply, parse: Callable[[bytes], _T | Failure]) -> _T | Failure:
        if len(reply.body) <= self._small_bytes:
            found = self._parsed(reply, self._small_bytes, parse)
            if not (isinstance(found, Failure) and found.trouble is Trouble.TOO_LARGE):
                return found
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._parsed, reply, self._most_bytes, parse
        )

    def _parsed(
        self, reply: Reply, most_bytes: int, parse: Callable[[bytes], _T | Failure]
    ) -> _T | Failure:
        body = self._decoded(reply, most_bytes)
        return body if isinstance(body, Failure) else parse(body)

    def _decoded(self, reply: Reply, most_bytes: int) -> bytes | Failure:
        """Return the body without its content coding and without secrets."""
        body = self._decode(reply.body, reply.content_encoding, most_bytes)
        if self._secrets is None or isinstance(body, Failure):
            return body
        return masked(body, self._secrets)
