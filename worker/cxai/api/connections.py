"""Connections to the API, over aiohttp: paced, bounded, and reused only if they are sound.

The same tests as for protocol.py cover the private parts of aiohttp that this uses.
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
class RequestState:
    """The state of one request, and its `token`. The caller always calls `end`.

    It must finish by `deadline`, in the event loop's time. `fresh` requires a new connection.
    """

    token: SecretStr
    deadline: float
    fresh: bool = False
    connection: CheckedProtocol | None = None
    sent: bool = False
    timer: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """End the request, whose deadline then no longer applies."""
        if self.timer is not None:
            self.timer.cancel()

    @property
    def is_stale(self) -> bool:
        """Whether nothing was received on a connection that had carried other requests before."""
        found = self.connection
        return found is not None and found.requests > 1 and not found.has_received

    @property
    def is_garbled(self) -> bool:
        """Whether anything but one HTTP response was received."""
        return self.connection is not None and self.connection.is_garbled


REQUEST: ContextVar[RequestState] = ContextVar("request")
"""The request of the current task: aiohttp's session can't pass it to the connector."""


def check_usable(connection: Connection) -> tuple[CheckedProtocol, asyncio.Transport]:
    """Return the protocol and the transport to send a request over.

    Raises ServerDisconnectedError for a closed connection, and for one on which the server has sent
    data without a request: it would count as the reply to this one, and give its ID the result of
    another. HTTP/1.1 can't distinguish such data if it arrives any later.
    """
    protocol = connection.protocol
    assert protocol is None or isinstance(protocol, CheckedProtocol)  # noqa: S101 - for mypy
    if protocol is None or not protocol.may_send():
        raise aiohttp.ServerDisconnectedError(
            "The server closed the connection, or sent data without a request."
        )
    assert protocol.transport is not None  # noqa: S101 - it is connected
    return protocol, protocol.transport


class Connector(aiohttp.TCPConnector):
    """Awaits `send_slot` once it has a connection: sending is paced, not connecting.

    When a kept connection turns out to be dead, all that have received nothing since are closed:
    the restart of a server or a router usually drops all of them.
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
        """Reuse no connection that receives nothing from now on."""
        self._distrusted_at = self._loop.time()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],  # noqa: ARG002 - we have none
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Return a connection for a request of a session, by `take`."""
        return await self.take(req, REQUEST.get(), timeout)

    async def take(
        self,
        request: aiohttp.ClientRequest,
        state: RequestState,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's type
    ) -> Connection:
        """Return a connection on which the request of `state` may be sent now.

        `request` contains the destination. Raises TimeoutError (ConnectionTimeoutError if it took
        too long to connect) if there is none in time.
        """
        while True:
            connection = await super().connect(request, [], timeout)
            protocol = connection.protocol
            assert isinstance(protocol, CheckedProtocol)  # noqa: S101 - for the type checker
            if protocol.requests == 0 or self._may_be_used(protocol, state):
                break
            connection.close()
        state.connection = protocol
        try:
            await self._send_slot()
        except BaseException:
            connection.release()  # the next request may use it: it has carried nothing
            raise
        if self._loop.time() >= state.deadline:
            connection.release()
            raise TimeoutError
        if protocol.requests == 0 and protocol.has_received:
            protocol.force_close()  # data without a request: check_usable refuses it
        protocol.requests += 1
        protocol.begin()
        # A timer takes 3 µs less than asyncio.timeout around the request.
        state.timer = self._loop.call_at(state.deadline, protocol.expire)
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

    def _may_be_used(self, kept: CheckedProtocol, state: RequestState) -> bool:
        return not state.fresh and not kept.should_close and kept.received_at > self._distrusted_at
