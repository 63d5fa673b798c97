"""One connection to the API, over aiohttp: bounds what is received, and refuses unasked replies.

The private parts of aiohttp that this uses are covered by tests of the client over a real server
(tests/faults/test_transport.py, test_http.py).
"""

import asyncio
import math
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

MAX_INTERIM = 10
"""Most 1xx responses before the final one; a well-behaved server sends one or two."""

MAX_HEAD_BYTES = 2**17
"""Most bytes before the body: interim responses, the head, and empty lines, which HTTP permits."""

_INFORMATIONAL, _SWITCHING, _SUCCESSFUL = 100, 101, 200
_OK = b"HTTP/1.1 200 "
_VERSION = b"HTTP/"


class FloodError(aiohttp.ClientError):
    """The server sends too much before a reply begins. The text says what exceeded its bound."""


def is_interim(status: int) -> bool:
    """Whether a response of this status is interim: the final one is still to come."""
    return _INFORMATIONAL <= status < _SUCCESSFUL and status != _SWITCHING


class CheckedProtocol(ResponseHandler):
    """One connection: how many requests it has carried, and when it was last heard."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.requests = 0
        self.heard_at = -math.inf
        self.begin()

    def begin(self) -> None:
        """Note that another request is about to be sent."""
        self.is_heard = False  # since the last request was handed to it
        self.is_garbled = False  # what came was not HTTP, or was more than announced
        self._is_answered = False
        self._interim = 0
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Pass on what was received, the head by itself; refuse what was not asked for."""
        if not data:  # from aiohttp itself: to go on with what is there
            return super().data_received(data)
        is_first, self.is_heard = not self.is_heard, True
        self.heard_at = self._loop.time()
        if self._is_answered and (self._payload is None or self._payload.is_eof()):
            return self._hear_unasked(data)
        if self._is_answered or (is_first and data.startswith(_OK)):
            return super().data_received(data)
        return self._receive_head_apart(data, b"\r\n\r\n" if is_first else b"\n")

    def _receive_head_apart(self, data: bytes, end_of_head: bytes) -> None:
        # aiohttp's parser drops a head that it has understood if what stands behind it in the same
        # piece is no HTTP. A 200 is of no use without its body; of any other reply the head counts.
        # A head that comes in several pieces is passed on line by line.
        start = 0
        while not self._is_answered and (found := data.find(end_of_head, start)) >= 0:
            end = found + len(end_of_head)
            self._receive_of_head(data[start:end])
            start = end
            if self._exception is not None:
                return
        if start < len(data):
            if self._is_answered:
                super().data_received(data[start:])
            else:
                self._receive_of_head(data[start:])

    def _receive_of_head(self, data: bytes) -> None:
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._give_up(FloodError(f"more than {MAX_HEAD_BYTES} bytes before a body"))
            return
        super().data_received(data)
        if not self._is_answered and self._exception is None:
            self.start_timeout()  # aiohttp takes an interim response for the end of its waiting

    def _hear_unasked(self, data: bytes) -> None:
        # It follows a whole reply and is never read, so it would pile up as fast as it comes.
        rest = data.lstrip(b"\r\n")[: len(_VERSION)]
        self.is_garbled |= not _VERSION.startswith(rest)
        self.force_close()
        if self.transport is not None:
            self.transport.abort()

    def run_out(self) -> None:
        """End the request under way: its deadline has passed."""
        error = TimeoutError()
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)

    def _give_up(self, error: aiohttp.ClientError) -> None:
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a response whose head is parsed."""
        # aiohttp reads 1xx responses in a loop that never yields: only here can they be counted.
        if is_interim(data[0].code):
            self._interim += 1
            if self._interim > MAX_INTERIM:
                reason = f"more than {MAX_INTERIM} interim responses (1xx)"
                return self._give_up(FloodError(reason))
        else:
            self._is_answered = True
        return super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Fail whatever is being read on this connection."""
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError):
            self.is_garbled = True
            # After an invalid chunk, aiohttp leaves the reader of the body waiting.
            if self._payload is not None and not self._payload.is_eof():
                self._payload.set_exception(aiohttp.ClientPayloadError())
