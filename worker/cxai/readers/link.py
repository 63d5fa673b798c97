"""The worker's connection to one reader: sends blocks, receives answers, detects its loss."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from cxai.policy.reply import Arrival
from cxai.readers import wire

START_S = 30.0
"""Time limit for a reader's start, which takes a fraction of a second."""

BLOCK_S = 20.0
"""Time limit for a block, which takes milliseconds. A reader that takes longer hangs.

It is below the grace period of a stopping run (30 s). The worst known bodies, 32 of 1 MiB, take
11 s.
"""

_KEPT_BYTES = 2**22
"""A buffer that a large answer grew beyond this size is replaced afterwards."""

_ready = msgspec.msgpack.Decoder(wire.Ready)
_answer = msgspec.msgpack.Decoder(wire.Answer)


class ReaderLostError(Exception):
    """A reader has exited or broken the protocol; its outstanding replies are unread."""


class ReaderLink(asyncio.BufferedProtocol):
    """The connection to one reader. Once it is `lost`, it stays so.

    `reason` is why this side closed it, as a predicate ("hung"); empty if it did not.
    """

    def __init__(self, *, start_s: float = START_S, block_s: float = BLOCK_S) -> None:
        self.reason = ""
        self.lost = asyncio.Event()
        self._start_s = start_s
        self._block_s = block_s
        self._pending: deque[tuple[msgspec.msgpack.Decoder[Any], asyncio.Future[Any]]] = deque()
        self._blocks = 0
        self._buffer = bytearray(wire.HEAD_BYTES)
        self._expect(wire.HEAD_BYTES, is_head=True)

    @property
    def waiting(self) -> int:
        """How many blocks have no answer yet."""
        return len(self._pending)

    async def begin(self, settings: wire.ReaderSettings) -> wire.Ready:
        """Send the settings; return when the reader is ready. Raises ReaderLostError."""
        ready: wire.Ready = await self._request(
            settings, _ready, self._start_s, "did not start in time"
        )
        return ready

    async def read(
        self, arrived: Sequence[Arrival], at: datetime, secrets: Sequence[str]
    ) -> Sequence[wire.Parsed]:
        """Return the reader's result for each reply. After ReaderLostError none was read."""
        self._blocks += 1
        block = wire.Block(self._blocks, at, tuple(secrets), list(arrived))
        answer: wire.Answer = await self._request(block, _answer, self._block_s, "hung")
        if answer.number != block.number or len(answer.parsed) != len(block.arrived):
            self.give_up("sent a wrong answer")
            raise ReaderLostError
        return answer.parsed

    def give_up(self, reason: str) -> None:
        """Abort the connection; the first reason counts."""
        self.reason = self.reason or reason
        self._transport.abort()

    async def _request(
        self,
        request: Any,
        decoder: "msgspec.msgpack.Decoder[Any]",
        timeout_s: float,
        on_timeout: str,
    ) -> Any:
        if self._transport.is_closing():
            raise ReaderLostError
        answer = asyncio.get_running_loop().create_future()
        self._pending.append((decoder, answer))
        self._transport.write(wire.framed(request))
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            self.give_up(on_timeout)
            raise ReaderLostError from None

    # --- called by the event loop ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Fail every pending request."""
        self.lost.set()
        for _, answer in self._pending:
            if not answer.done():
                answer.set_exception(ReaderLostError())
        self._pending.clear()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return space for the rest of the expected head or value, and no more."""
        return memoryview(self._buffer)[self._filled : self._expected]

    def buffer_updated(self, nbytes: int) -> None:
        """Process the head or value once it is complete."""
        self._filled += nbytes
        if self._filled < self._expected:
            return
        found = memoryview(self._buffer)[: self._expected]
        if self._is_head:
            self._expect(wire.length_of(found), is_head=False)
        else:
            self._take(found)
            self._expect(wire.HEAD_BYTES, is_head=True)

    def _expect(self, length: int, *, is_head: bool) -> None:
        if not 0 < length <= wire.MOST_FRAME_BYTES:
            self.give_up("sent garbage")
            length, is_head = wire.HEAD_BYTES, True
        if length > len(self._buffer) or (is_head and len(self._buffer) > _KEPT_BYTES):
            self._buffer = bytearray(length)
        self._filled, self._expected, self._is_head = 0, length, is_head

    def _take(self, value: memoryview) -> None:
        try:
            decoder, answer = self._pending[0]
            found = decoder.decode(value)
        except (IndexError, msgspec.DecodeError, ValueError, RecursionError):
            # Not requested, of the wrong type, not UTF-8 (a ValueError), or nested too deeply.
            self.give_up("sent garbage")
            return
        self._pending.popleft()
        if not answer.done():  # else its caller was cancelled
            answer.set_result(found)
