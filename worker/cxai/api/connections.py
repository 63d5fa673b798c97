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

from cxai.api.protocol import CheckedProtocol
from cxai.core.secret_str import SecretStr

_KEEPALIVE_S = 75.0

SendSlot = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Passage:
    """How far one request has got, and its `token`. The caller always calls `end`.

    It must finish by `deadline`, in the event loop's time. `fresh` asks for a connection that
    has carried none before.
    """

    token: SecretStr
    deadline: float
    fresh: bool = False
    connection: CheckedProtocol | None = None
    sent: bool = False
    timer: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Note that the request is over: its deadline no longer applies."""
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
"""The request of the current task: aiohttp's session can't pass it to the connector."""


def check_usable(connection: Connection) -> tuple[CheckedProtocol, asyncio.Transport]:
    """Return the protocol and the transport to send a request over.

    Raises ServerDisconnectedError for a connection that has been closed, and for one on which the
    server has sent something unasked: that would be taken for the reply to this request, and give
    the ID another one's result.
    """
    protocol = connection.protocol
    if protocol is None or protocol.should_close or not protocol.is_connected():
        raise aiohttp.ServerDisconnectedError(
            "The server closed the connection, or sent what was not asked for."
        )
    assert isinstance(protocol, CheckedProtocol)  # noqa: S101 - for the type checker
    assert protocol.transport is not None  # noqa: S101 - it is connected
    return protocol, protocol.transport


class Connector(aiohttp.TCPConnector):
    """Awaits `send_slot` with the connection in hand: what is paced is sending, not connecting.

    A connection (name, TCP, proxy, TLS) takes `connect_timeout_s` at most. When one that had been
    kept turns out to be dead, those that have not been heard since are not used again: a restart
    of the server, or a router that forgets, takes them all at once.
    """

    def __init__(
        self,
        send_slot: SendSlot,
        *,
        in_flight: int,
        connect_timeout_s: float,
        context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(
            limit=in_flight, ttl_dns_cache=60, keepalive_timeout=_KEEPALIVE_S, ssl=context or True
        )
        self._factory = partial(CheckedProtocol, self._loop)  # type: ignore[assignment] # a subclass
        self._send_slot = send_slot
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
            assert isinstance(protocol, CheckedProtocol)  # noqa: S101 - for the type checker
            if protocol.requests == 0 or self._may_be_used(protocol, passage):
                break
            connection.close()
        passage.connection = protocol
        try:
            await self._send_slot()
        except BaseException:
            connection.release()  # to be used by the next: it has carried nothing
            raise
        if self._loop.time() >= passage.deadline:
            connection.release()
            raise TimeoutError
        if protocol.requests == 0 and protocol.is_heard:
            protocol.force_close()  # it spoke first: check_usable refuses it
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

    def _may_be_used(self, kept: CheckedProtocol, passage: Passage) -> bool:
        return not passage.fresh and not kept.should_close and kept.heard_at > self._distrusted_at
