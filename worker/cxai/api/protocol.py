"""One connection to the API, over aiohttp: bounds what it receives, refuses unsolicited data.

The private parts of aiohttp that this uses are covered by tests of the client over a real server
(tests/faults/test_connections.py, test_transport.py).
"""

import asyncio
import math
import select
from collections.abc import Callable, Sequence
from functools import partial
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
    """The server sends too much before a reply begins. The message names the bound."""


def is_interim(status: int) -> bool:
    """Whether a response of this status is interim: the final one is still to come."""
    return _INFORMATIONAL <= status < _SUCCESSFUL and status != _SWITCHING


class CheckedProtocol(ResponseHandler):
    """One connection: counts its requests, and records when it last received data."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.requests = 0
        self.received_at = -math.inf
        self._arrived: Callable[[], Sequence[Any]]
        self.begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Prepare to ask the system for data that has arrived."""
        super().connection_made(transport)
        descriptor = transport.get_extra_info("socket").fileno()
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            self._arrived = partial(poll.poll, 0)
        else:  # some macOS builds of Python
            self._arrived = lambda: select.select([descriptor], [], [], 0)[0]
        self._is_encrypted = transport.get_extra_info("ssl_object") is not None

    def may_send(self) -> bool:
        """Whether the connection is open and has received no data without a request.

        Data may have arrived that the event loop has not read: asking the system takes 1 µs. It is
        not asked before the first request over TLS, when session tickets may arrive.
        """
        if self.should_close or not self.is_connected():
            return False
        return (self._is_encrypted and self.requests == 1) or not self._arrived()

    def begin(self) -> None:
        """Prepare for the next request."""
        self.has_received = False  # anything since then
        self.is_garbled = False  # what came was not HTTP, or was more than announced
        self._is_answered = False
        self._interim = 0
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Pass on received data, the head separately; refuse data without a request."""
        if not data:  # aiohttp itself asks for the rest of its buffer
            return super().data_received(data)
        is_first, self.has_received = not self.has_received, True
        self.received_at = self._loop.time()
        if self._is_answered and (self._payload is None or self._payload.is_eof()):
            return self._refuse_unsolicited(data)
        if self._is_answered or (is_first and data.startswith(_OK)):
            return super().data_received(data)
        return self._receive_head(data, b"\r\n\r\n" if is_first else b"\n")

    def _receive_head(self, data: bytes, end_of_head: bytes) -> None:
        # aiohttp's parser drops a head if the rest of the same piece is not HTTP, but the head of
        # any reply but a 200 counts. One that arrives in several pieces is passed on line by line.
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
            self.start_timeout()  # aiohttp stops it at an interim response

    def _refuse_unsolicited(self, data: bytes) -> None:
        # It follows a complete reply and is never read, so it would accumulate without bound.
        rest = data.lstrip(b"\r\n")[: len(_VERSION)]
        self.is_garbled |= not _VERSION.startswith(rest)
        self.force_close()
        if self.transport is not None:
            self.transport.abort()

    def expire(self) -> None:
        """Fail the current request: its deadline has passed."""
        error = TimeoutError()
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)

    def _give_up(self, error: aiohttp.ClientError) -> None:
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Accept a response whose head is parsed."""
        # aiohttp reads 1xx responses in a loop without a yield, so they are counted here.
        if is_interim(data[0].code):
            self._interim += 1
            if self._interim > MAX_INTERIM:
                reason = f"more than {MAX_INTERIM} interim responses (1xx)"
                return self._give_up(FloodError(reason))
        else:
            self._is_answered = True
        return super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Fail the current read on this connection."""
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError):
            self.is_garbled = True
            # After an invalid chunk, aiohttp leaves the reader of the body waiting for ever.
            if self._payload is not None and not self._payload.is_eof():
                self._payload.set_exception(aiohttp.ClientPayloadError())
