"""A worker's end of one reader: hands it blocks, takes its answers, and notices when it is gone."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from cxai.policy.reply import Arrival
from cxai.readers.wire import (
    HEAD_BYTES,
    MOST_FRAME_BYTES,
    Answer,
    Block,
    Parsed,
    Ready,
    Recipe,
    framed,
    length_of,
)

START_S = 30.0
"""How long a reader may take to start, which needs a fraction of a second."""

BLOCK_S = 20.0
"""How long a reader may take for a block; it takes milliseconds. One that takes longer hangs.

It is shorter than the grace of a stopped run (30 s), which a hung reader must not make longer.
The worst bodies that we know, 32 of 1 MiB, take 11 s.
"""

_KEPT_BYTES = 2**22
"""A buffer that a large answer made larger than this is replaced afterwards."""

_ready = msgspec.msgpack.Decoder(Ready)
_answer = msgspec.msgpack.Decoder(Answer)


class ReaderLostError(Exception):
    """A reader has gone or broken the protocol; what it was asked is unread."""


class ReaderLink(asyncio.BufferedProtocol):
    """The connection to one reader. Once it is `lost`, it stays so.

    `reason` says why this side gave it up; it is empty if it did not.
    """

    def __init__(self, *, start_s: float = START_S, block_s: float = BLOCK_S) -> None:
        self.reason = ""
        self.lost = asyncio.Event()
        self._start_s = start_s
        self._block_s = block_s
        self._asked: deque[tuple[msgspec.msgpack.Decoder[Any], asyncio.Future[Any]]] = deque()
        self._blocks = 0
        self._buffer = bytearray(HEAD_BYTES)
        self._expect(HEAD_BYTES, is_head=True)

    @property
    def waiting(self) -> int:
        """How many blocks the reader has not answered yet."""
        return len(self._asked)

    async def begin(self, recipe: Recipe) -> Ready:
        """Send the recipe; return when the reader is ready. Raises ReaderLostError."""
        ready: Ready = await self._ask(recipe, _ready, self._start_s, "did not start in time")
        return ready

    async def read(
        self, arrived: Sequence[Arrival], at: datetime, secrets: Sequence[str]
    ) -> Sequence[Parsed]:
        """Return what each reply is. Raises ReaderLostError: then none of them was read."""
        self._blocks += 1
        block = Block(self._blocks, at, tuple(secrets), list(arrived))
        answer: Answer = await self._ask(block, _answer, self._block_s, "hung")
        if answer.number != block.number or len(answer.parsed) != len(block.arrived):
            self.give_up("answered something else")
            raise ReaderLostError
        return answer.parsed

    def give_up(self, reason: str) -> None:
        """Drop the connection, whatever the reader is doing; the first reason counts."""
        self.reason = self.reason or reason
        self._transport.abort()

    async def _ask(
        self,
        request: Any,
        decoder: "msgspec.msgpack.Decoder[Any]",
        at_most_s: float,
        otherwise: str,
    ) -> Any:
        if self._transport.is_closing():
            raise ReaderLostError
        answer = asyncio.get_running_loop().create_future()
        self._asked.append((decoder, answer))
        self._transport.write(framed(request))
        try:
            async with asyncio.timeout(at_most_s):
                return await answer
        except TimeoutError:
            self.give_up(otherwise)
            raise ReaderLostError from None

    # --- what the event loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is none by its class

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Fail every request that is still open."""
        self.lost.set()
        for _, answer in self._asked:
            if not answer.done():
                answer.set_exception(ReaderLostError())
        self._asked.clear()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return room for the rest of what is expected, a head or a value, and for no more."""
        return memoryview(self._buffer)[self._filled : self._expected]

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come."""
        self._filled += nbytes
        if self._filled < self._expected:
            return
        found = memoryview(self._buffer)[: self._expected]
        if self._is_head:
            self._expect(length_of(found), is_head=False)
        else:
            self._take(found)
            self._expect(HEAD_BYTES, is_head=True)

    def _expect(self, length: int, *, is_head: bool) -> None:
        if not 0 < length <= MOST_FRAME_BYTES:
            self.give_up("sent garbage")
            length, is_head = HEAD_BYTES, True
        if length > len(self._buffer) or (is_head and len(self._buffer) > _KEPT_BYTES):
            self._buffer = bytearray(length)
        self._filled, self._expected, self._is_head = 0, length, is_head

    def _take(self, value: memoryview) -> None:
        try:
            decoder, answer = self._asked[0]
            found = decoder.decode(value)
        except (IndexError, msgspec.DecodeError, ValueError, RecursionError):
            # Unasked for, of the wrong type, not UTF-8 (a ValueError), or nested too deeply.
            self.give_up("sent garbage")
            return
        self._asked.popleft()
        if not answer.done():  # or it is no longer waited for
            answer.set_result(found)
