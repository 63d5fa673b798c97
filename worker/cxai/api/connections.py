"""Connections to the API, over aiohttp: paced, bounded, and only those that can be trusted.

What is private to aiohttp and used here is held by the tests of the client over a real server
(tests/faults/test_transport.py, test_http.py).
"""

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from pydantic import SecretStr

MAX_INTERIM = 10
"""1xx responses before the one that counts; one that means well sends one or two."""

MAX_HEAD_BYTES = 2**17
"""Bytes before the body: interim responses, the head, and empty lines, which HTTP lets pass."""

_KEEPALIVE_S = 75.0
_INFORMATIONAL, _SWITCHING, _SUCCESSFUL = 100, 101, 200
_OK = b"HTTP/1.1 200 "
_VERSION = b"HTTP/"

Depart = Callable[[], Awaitable[None]]


class FloodError(aiohttp.ClientError):
    """The server sends without end, and no reply begins. Its text says what there is too much."""


def is_interim(status: int) -> bool:
    """Whether another response follows one of this status, and that is the one that counts."""
    return _INFORMATIONAL <= status < _SUCCESSFUL and status != _SWITCHING


class _Protocol(ResponseHandler):
    """One connection: how many requests it has carried, and when it was last heard."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.requests = 0
        self.heard_at = -math.inf
        self.begin()

    def begin(self) -> None:
        """Note that another request is about to be sent."""
        self.is_heard = False  # since the last request was handed to it
        self.is_garbled = False  # what came was no HTTP, or more than was announced
        self._is_answered = False
        self._interim = 0
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
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
        # If it comes in several pieces, it is given by lines.
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
        else:
            super().data_received(data)

    def _hear_unasked(self, data: bytes) -> None:
        # Behind a whole reply, and nobody reads it: it would pile up as fast as it comes.
        rest = data.lstrip(b"\r\n")[: len(_VERSION)]
        self.is_garbled |= not _VERSION.startswith(rest)
        self.force_close()
        if self.transport is not None:
            self.transport.abort()

    def run_out(self) -> None:
        """End the request under way: its time is over."""
        error = TimeoutError()
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)

    def _give_up(self, error: aiohttp.ClientError) -> None:
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()

    def feed_data(self, data: Any, size: int = 0) -> None:
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
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError):
            self.is_garbled = True
            # aiohttp leaves the reader of a body waiting when a chunk of it is none.
            if self._payload is not None and not self._payload.is_eof():
                self._payload.set_exception(aiohttp.ClientPayloadError())


@dataclass(slots=True)
class Passage:
    """How far one request has got; `token` goes with it. Its user calls `end`, whatever happens.

    It has to be over at `deadline`, a time of the event loop. `fresh` asks for a connection that
    has carried none before.
    """

    token: SecretStr
    deadline: float
    fresh: bool = False
    connection: _Protocol | None = None
    sent: bool = False
    timer: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Note that the request is over: its time runs no longer."""
        if self.timer is not None:
            self.timer.cancel()

    @property
    def is_stale(self) -> bool:
        """Whether nothing was heard on a connection that has carried other requests before."""
        found = self.connection
        return found is not None and found.requests > 1 and not found.is_heard

    @property
    def is_garbled(self) -> bool:
        """Whether anything but one HTTP response was heard."""
        return self.connection is not None and self.connection.is_garbled


PASSAGE: ContextVar[Passage] = ContextVar("passage")
"""The request that the current task makes: a session of aiohttp hands nothing of ours down."""


def check_usable(connection: Connection) -> tuple[_Protocol, asyncio.Transport]:
    """Return what a request is sent over.

    Raises ServerDisconnectedError for a connection that has ended meanwhile, and for one on which
    the server has spoken unasked: that would be read as the reply to this request, another ID's
    result.
    """
    protocol = connection.protocol
    if protocol is None or protocol.should_close or not protocol.is_connected():
        raise aiohttp.ServerDisconnectedError("The server spoke out of turn, or has closed.")
    assert isinstance(protocol, _Protocol)  # noqa: S101 - for the type checker
    assert protocol.transport is not None  # noqa: S101 - it is connected
    return protocol, protocol.transport


class Connector(aiohttp.TCPConnector):
    """Awaits `depart` with the connection in hand: what is paced is sending, not connecting.

    A connection (name, TCP, proxy, TLS) takes `connect_timeout_s` at most. When one that had been
    kept turns out to be dead, those that have not been heard since are not used again: a restart
    of the server, or a router that forgets, takes them all at once.
    """

    def __init__(
        self,
        depart: Depart,
        *,
        in_flight: int,
        connect_timeout_s: float,
        context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(
            limit=in_flight, ttl_dns_cache=60, keepalive_timeout=_KEEPALIVE_S, ssl=context or True
        )
        self._factory = partial(_Protocol, self._loop)  # type: ignore[assignment] # a subclass
        self._depart = depart
        self._connect_timeout_s = connect_timeout_s
        self._distrusted_at = -math.inf

    def distrust(self) -> None:
        """Use no connection again that is not heard from now on."""
        self._distrusted_at = self._loop.time()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],  # noqa: ARG002 - of ours there are none
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Return a connection for a request of a session; `take` with the passage of its task."""
        return await self.take(req, PASSAGE.get(), timeout)

    async def take(
        self,
        request: aiohttp.ClientRequest,
        passage: Passage,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's type
    ) -> Connection:
        """Return a connection on which the request of `passage` may be sent now.

        `request` says where to. Raises TimeoutError (a ConnectionTimeoutError, if it took too long
        to connect) if there is none in time.
        """
        while True:
            connection = await super().connect(request, [], timeout)
            protocol = connection.protocol
            assert isinstance(protocol, _Protocol)  # noqa: S101 - for the type checker
            if protocol.requests == 0 or self._may_be_used(protocol, passage):
                break
            connection.close()
        passage.connection = protocol
        try:
            await self._depart()
        except BaseException:
            connection.release()  # to be used by the next: it has carried nothing
            raise
        if self._loop.time() >= passage.deadline:
            connection.release()
            raise TimeoutError
        protocol.requests += 1
        protocol.begin()
        # A timer takes 3 µs less than asyncio.timeout around the request.
        passage.timer = self._loop.call_at(passage.deadline, protocol.run_out)
        return connection

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await super()._create_connection(req, traces, timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error

    def _may_be_used(self, kept: _Protocol, passage: Passage) -> bool:
        return not passage.fresh and not kept.should_close and kept.heard_at > self._distrusted_at
