"""A server on loopback that replies with exactly the bytes, pauses and endings of a script.

It parses only the end of a request's head, so it can send what no HTTP library would.
"""

import asyncio
import contextlib
import time
from enum import Enum, auto

from support.command import TOKEN

from cxai.api.client import ApiClient
from cxai.api.thin_exchange import ThinExchange
from cxai.api.token import Token
from cxai.clock import SystemClock
from cxai.core.secret_str import SecretStr

DRIP_S = 0.05

OPEN_EXCHANGE = ThinExchange
"""The exchange of the client under test; the fixture `exchange` sets each in turn."""


class Ending(Enum):
    """A step that ends a conversation."""

    CLOSE = auto()
    RESET = auto()
    SILENCE = auto()


def response(body=b"", *headers, status="200 OK"):
    """Return a whole response, Content-Length included."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def dripping(content):
    """Return the steps that send `content` a byte at a time, each within any read timeout."""
    return [step for byte in content for step in (bytes([byte]), DRIP_S)]


class RawServer:
    """An async context manager. The n-th request gets the n-th script; the last one is repeated.

    A script is a sequence of steps: bytes to send, seconds to pause (a float), and an Ending:
    SILENCE waits until the client disconnects, CLOSE and RESET end the connection. Any other script
    leaves the connection open for the next request.

    With `tls`, an SSLContext, it serves HTTPS as localhost. `by_id` maps an ID, or an ID and its
    endpoint (`3f25…/status`), to the script for its requests.

    `requests` contains the heads of all requests, as sent, and `times` when they arrived (monotonic
    seconds); `answered` counts those whose script has ended; `connections` counts all accepted
    connections, `open_connections` the current ones; `sent_bytes` is what was passed to the system.
    """

    def __init__(self, *scripts, by_id=None, tls=None):
        self._scripts = scripts
        self._by_id = {} if by_id is None else by_id
        self._tls = tls
        self._conversations = {}
        self.requests = []
        self.times = []
        self.answered = 0
        self.connections = 0
        self.sent_bytes = 0

    @property
    def base_url(self):
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self):
        return len(self._conversations)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        self.drop()
        await asyncio.gather(*self._conversations)

    def push(self, data):
        """Send data on all open connections, without a request."""
        for writer in self._conversations.values():
            writer.write(data)

    def drop(self):
        """Reset all open connections."""
        for writer in self._conversations.values():
            writer.transport.abort()

    async def _converse(self, reader, writer):
        self.connections += 1
        self._conversations[asyncio.current_task()] = writer
        # In many of these scripts the client disconnects.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        del self._conversations[asyncio.current_task()]

    async def _answer(self, reader, writer):
        """Play the script of one request; return whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        script = self._script(head.decode("latin-1"))
        self.requests.append(head.decode("latin-1"))
        self.times.append(time.monotonic())
        for step in script:
            if writer.is_closing():  # the client has disconnected
                return False
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                    self.sent_bytes += len(step)
                case float():
                    await asyncio.sleep(step)
                case Ending.SILENCE:
                    await reader.read()
                case Ending.RESET:
                    writer.transport.abort()
        self.answered += 1
        return not isinstance(script[-1], Ending)

    def _script(self, head):
        asked = head.split(" ")[1].partition("/interactions/")[2]
        for key in (asked, asked.partition("/")[0]):
            if key in self._by_id:
                return self._by_id[key]
        return self._scripts[min(len(self.requests), len(self._scripts) - 1)]

    def times_asked(self, interaction_id):
        """Return how many requests there were for an ID."""
        return sum(f"/{interaction_id}/" in head.split("\r\n")[0] for head in self.requests)


def header(request, name):
    """Return the values of a header in a request's head, in order."""
    return [
        value.strip()
        for line in request.split("\r\n")[1:]
        for key, colon, value in [line.partition(":")]
        if colon and key.lower() == name.lower()
    ]


def client_of(base_url, *, token=None, proxy=None, **limits):
    """Return the client under test, with short timeouts."""
    return ApiClient(
        base_url,
        token or Token(SecretStr(TOKEN)),
        SystemClock(),
        proxy=SecretStr(proxy) if proxy else None,
        **{
            "open_exchange": OPEN_EXCHANGE,
            "result_path": "ai",
            "in_flight": 4,
            "connect_timeout_s": 5.0,
            "read_timeout_s": 5.0,
            "total_timeout_s": 5.0,
            "max_wire_bytes": 1 << 20,
            **limits,
        },
    )
