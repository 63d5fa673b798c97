"""Requests over aiohttp's connections and parser, for less than half of the cost of its session.

Everything but the ID is prepared once: 30 µs of CPU per request instead of 70, without the kernel's
share. This uses private parts of aiohttp, so it is chosen only for tested versions (exchanges.py).
"""

import asyncio

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDictProxy
from yarl import URL

from cxai.api.connections import Connector, RequestState, check_usable
from cxai.api.exchange import HEADERS, TOKEN_HEADER
from cxai.api.protocol import is_interim
from cxai.core.secret_str import SecretBytes, SecretStr


class _Response:
    """Adapter of Response."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader
    ) -> None:
        self._connection = connection
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = content

    def release(self) -> None:
        self._connection.release()  # closes it if the body did not end


class ThinExchange:
    """Adapter of Exchange: writes prepared requests, and reads responses parsed by aiohttp."""

    def __init__(
        self,
        base_url: str,
        connector: Connector,
        timeout: aiohttp.ClientTimeout,
        proxy: SecretStr | None,
    ) -> None:
        url = URL(base_url, encoded=True)
        self._connector = connector
        self._timeout = timeout
        # Never sent: it gives the connector its destination, and us the Host header.
        self._destination = aiohttp.ClientRequest(
            "GET",
            url,
            headers=HEADERS,
            proxy=URL(proxy.get_secret_value()) if proxy else None,
            loop=asyncio.get_running_loop(),
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in self._destination.headers.items())
        self._start = f"GET {url.raw_path.rstrip('/')}".encode()
        self._lines = f" HTTP/1.1\r\n{lines}".encode()
        self._token: SecretStr | None = None
        self._end = SecretBytes(b"")

    async def send(self, target: str, state: RequestState) -> _Response:
        if state.token is not self._token:
            self._use(state.token)
        connection = await self._connector.take(self._destination, state, self._timeout)
        try:
            protocol, transport = check_usable(connection)
            protocol.set_response_params(
                read_until_eof=True,
                auto_decompress=False,  # aiohttp returns a truncated body as a success
                read_timeout=self._timeout.sock_read,
            )
            state.sent = True
            transport.write(self._start + target.encode() + self._end.get_secret_value())
            protocol.start_timeout()
            message, content = await protocol.read()
            while is_interim(message.code):
                message, content = await protocol.read()
        except BaseException:
            connection.close()
            raise
        return _Response(connection, message, content)

    def _use(self, token: SecretStr) -> None:
        self._token = token
        header = f"{TOKEN_HEADER}: {token.get_secret_value()}\r\n\r\n"
        self._end = SecretBytes(self._lines + header.encode())

    async def close(self) -> None:
        await self._connector.close()
