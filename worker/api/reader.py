"""Makes sense of the API's bodies: undoes their content coding, then reads them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

from worker.api import status, wire
from worker.api.content_coding import Limits, decode
from worker.domain.reply import Failure, Interaction, Processing, Reply, Trouble

_T = TypeVar("_T")

SMALL_BYTES = 2**20
"""Bodies up to this size, decoded, are read on the event loop: that takes milliseconds."""


class BodyReader:
    """Reads replies, each bounded by `limits`. An adapter of `ports.Reader`; never raises.

    What may take long, since it is large or a bomb, is read on `thread`, so that requests go on.
    """

    def __init__(self, limits: Limits, thread: Executor) -> None:
        self._limits = limits
        self._thread = thread
        small = min(SMALL_BYTES, limits.decoded_bytes)
        self._small = replace(limits, decoded_bytes=small)

    async def result(self, reply: Reply) -> Interaction | Failure:
        """Decode and validate a result."""
        return await self._read(reply, wire.read)

    async def processing(self, reply: Reply) -> Processing | Failure:
        """Decode and validate an answer of the status endpoint."""
        return await self._read(reply, status.processing)

    async def _read(self, reply: Reply, parse: Callable[[bytes], _T | Failure]) -> _T | Failure:
        if len(reply.body) <= self._small.decoded_bytes:
            found = _decoded(reply, self._small, parse)
            if not (isinstance(found, Failure) and found.trouble is Trouble.TOO_LARGE):
                return found
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _decoded, reply, self._limits, parse)


def _decoded(reply: Reply, limits: Limits, parse: Callable[[bytes], _T | Failure]) -> _T | Failure:
    body = decode(reply.body, reply.content_encoding, limits)
    return body if isinstance(body, Failure) else parse(body)
