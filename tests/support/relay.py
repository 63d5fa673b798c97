"""A relay on loopback, between clients and a server: it knows when requests came, and spoils some.

It works for any protocol in which a client asks and waits for the answer: HTTP/1.1 without
pipelining, or PostgreSQL's. What a client sends after it was answered begins another request.
"""

import asyncio
import socket
from contextlib import suppress
from enum import Enum

from support.arrivals import STAMP_ROOM, most_within, seconds_of, stamp_arrivals

_READ_BYTES = 1 << 16
_REFUSAL = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Length: 38\r\nConnection: close\r\n\r\n"
    b"<Error><Code>SlowDown</Code></Error>\r\n"
)


class Fault(Enum):
    """What happens to a request on its way."""

    REFUSED = "a 503 before it reaches the server"
    CUT = "the connection drops before it reaches the server"
    LOST = "the server does what it asks, and the connection drops before the answer"


class _Dropped(Exception):  # noqa: N818 - no error: the relay has decided so
    """This connection is given up."""


class Relay:
    """An async context manager that listens on `port` and connects to `to_port`, both loopback.

    `arrivals` has the time of each request in seconds, as the kernel had it: a busy machine can't
    make two requests of different seconds stand in one. `fault`, if given, is called with each
    request's first bytes, and returns its Fault or None.
    """

    def __init__(self, to_port, fault=None):
        self.to_port = to_port
        self.arrivals = []
        self._fault = fault or (lambda _: None)
        self._connections = set()

    @property
    def max_per_second(self):
        return most_within(sorted(self.arrivals), 1.0)

    async def __aenter__(self):
        self._loop = asyncio.get_running_loop()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.settimeout(0)
        stamp_arrivals(self._listener)
        self.port = self._listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept())
        return self

    async def __aexit__(self, *exc):
        for task in (self._accepting, *self._connections):
            task.cancel()
        await asyncio.gather(self._accepting, *self._connections, return_exceptions=True)
        self._listener.close()

    def drop_all(self):
        """Drop all connections, as a network does that fails; from any thread."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._connections])

    async def _accept(self):
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            task = asyncio.create_task(self._serve(client))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(self, client):
        with client, socket.socket() as server:
            server.settimeout(0)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):
                await self._loop.sock_connect(server, ("127.0.0.1", self.to_port))
                await _Connection(self, client, server).run()

    def asked(self, at, data):
        self.arrivals.append(at)
        return self._fault(data)


class _Connection:
    def __init__(self, relay, client, server):
        self._relay, self._client, self._server = relay, client, server
        self._loop = asyncio.get_running_loop()
        self._is_answered = True
        self._fault = None

    async def run(self):
        """Pass on what comes from both sides until one of them ends."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_requests())
                both.create_task(self._pass_answers())
        except* (OSError, _Dropped):
            pass

    async def _pass_requests(self):
        while True:
            at, data = await self._receive()
            if self._is_answered:
                self._is_answered = False
                self._fault = self._relay.asked(at, data)
            if self._fault is Fault.REFUSED:
                await self._loop.sock_sendall(self._client, _REFUSAL)
            if self._fault in (Fault.REFUSED, Fault.CUT):
                raise _Dropped
            await self._loop.sock_sendall(self._server, data)

    async def _pass_answers(self):
        while data := await self._loop.sock_recv(self._server, _READ_BYTES):
            self._is_answered = True
            if self._fault is Fault.LOST:
                break
            await self._loop.sock_sendall(self._client, data)
        raise _Dropped

    async def _receive(self):
        """Return when the kernel had what the client has sent, and that."""
        ready = self._loop.create_future()
        self._loop.add_reader(self._client, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_reader(self._client)
        data, stamps, _, _ = self._client.recvmsg(_READ_BYTES, STAMP_ROOM)
        if not data:
            raise _Dropped
        return seconds_of(stamps), data
