"""Makes sense of the API's bodies: undoes their content coding, then reads them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

from cxai.api.content_coding import Limits, decode
from cxai.policy.reply import Failure, Interaction, Reply, Status, Trouble
from cxai.resources import message
from cxai.resources.cx_ai import status, wire
from cxai.resources.masking import Secrets, masked

_T = TypeVar("_T")

SMALL_BYTES = 2**20
"""Bodies up to this size, decoded, are read on the event loop: that takes milliseconds."""

_ERROR_LIMITS = Limits(decoded_bytes=2**16)


class BodyReader:
    """Reads replies, each bounded by `limits`. An adapter of `ports.Reader`; never raises.

    What may take long, since it is large or a bomb, is read on `thread`, so that requests go on.
    None of `secrets` is in anything that it returns.
    """

    def __init__(self, limits: Limits, thread: Executor, secrets: Secrets | None = None) -> None:
        self._limits = limits
        self._thread = thread
        self._secrets = secrets
        small = min(SMALL_BYTES, limits.decoded_bytes)
        self._small = replace(limits, decoded_bytes=small)

    async def result(self, reply: Reply) -> Interaction | Failure:
        """Decode and validate a result."""
        return await self._read(reply, wire.read)

    async def processing(self, reply: Reply) -> Status | Failure:
        """Decode and validate an answer of the status endpoint."""
        return await self._read(reply, status.status)

    def message(self, reply: Reply) -> str | None:
        """Return the API's own words in the body of an error, None if there are none.

        They are at most 200 characters long, printable, and hold neither a secret nor what is
        secret in a URL. A body of more than 64 KiB, decoded, says nothing.
        """
        if not reply.body:
            return None
        found = self._decoded(reply, _ERROR_LIMITS, message.message)
        return None if isinstance(found, Failure) else found

    async def _read(self, reply: Reply, parse: Callable[[bytes], _T | Failure]) -> _T | Failure:
        if len(reply.body) <= self._small.decoded_bytes:
            found = self._decoded(reply, self._small, parse)
            if not (isinstance(found, Failure) and found.trouble is Trouble.TOO_LARGE):
                return found
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._decoded, reply, self._limits, parse)

    def _decoded(
        self, reply: Reply, limits: Limits, parse: Callable[[bytes], _T | Failure]
    ) -> _T | Failure:
        body = decode(reply.body, reply.content_encoding, limits)
        if self._secrets is not None and not isinstance(body, Failure):
            body = masked(body, self._secrets)
        return body if isinstance(body, Failure) else parse(body)
