"""One request to the API, over aiohttp. Foreign exceptions end here: failures are values."""

import asyncio
import errno
import ipaddress
import os
import re
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from worker import __version__
from worker.api.retry_after import retry_after_s
from worker.api.token import Token
from worker.domain.reply import Failure, Question, Reply, Trouble
from worker.domain.verdict import Stage
from worker.errors import UsageError
from worker.ports import Clock

ACCEPT_ENCODING = "gzip, deflate, br"
"""Sent explicitly: the default of the library changes with what else is installed."""

_PATHS = {
    Question.RESULT: "/v1/interactions/{}/ai",
    Question.STATUS: "/v1/interactions/{}/status",
}

_TOKEN_HEADER = "X-API-Token"  # noqa: S105 - its name

_KEEPALIVE_S = 75.0

Depart = Callable[[], Awaitable[None]]


async def _at_once() -> None:
    return


class _Request(aiohttp.ClientRequest):
    """Refuses a kept-alive connection on which the server has spoken unasked.

    What it said there would be read as the reply to this request: another ID's result.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError("The server spoke out of turn.")
        return await super().send(conn)


class _Connector(aiohttp.TCPConnector):
    """Awaits `depart` with the connection in hand: what is paced is sending, not connecting."""

    def __init__(self, depart: Depart, in_flight: int) -> None:
        super().__init__(limit=in_flight, ttl_dns_cache=60, keepalive_timeout=_KEEPALIVE_S)
        self._depart = depart

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        try:
            await self._depart()
        except BaseException:
            connection.release()
            raise
        return connection


class ApiClient:
    """Adapter of ports.Fetcher: one session, no redirects, no cookies, no proxies, no retries.

    `depart` is awaited before each request goes onto its connection.
    `in_flight` is the most requests under way at a time, and the size of the connection pool, so
    that no request ever waits for a connection. Timeouts are seconds; `total_timeout_s` bounds
    everything from the connection to the last byte, however slowly it drips. A body of more than
    `max_wire_bytes` (as sent) is not read to its end. Use it as an async context manager.
    Raises UsageError for a base URL that is not https (http is allowed to loopback alone).
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        clock: Clock,
        *,
        depart: Depart = _at_once,
        in_flight: int,
        connect_timeout_s: float,
        read_timeout_s: float,
        total_timeout_s: float,
        max_wire_bytes: int,
    ) -> None:
        self._prefix = _checked(base_url)
        self._token = token
        self._clock = clock
        self._depart = depart
        self._in_flight = in_flight
        self._timeout = aiohttp.ClientTimeout(
            total=total_timeout_s, sock_connect=connect_timeout_s, sock_read=read_timeout_s
        )
        self._max_wire_bytes = max_wire_bytes
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=_Connector(self._depart, self._in_flight),
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                _TOKEN_HEADER: self._token.secret.get_secret_value(),
                "Accept": "application/json",
                "Accept-Encoding": ACCEPT_ENCODING,
                "User-Agent": f"cxai-worker/{__version__}",
            },
            timeout=self._timeout,
            auto_decompress=False,  # aiohttp returns a truncated body as a success
            trust_env=False,
        )
        # aiohttp sends a GET again by itself when a kept-alive connection drops: a request that
        # nobody paced. There is no public switch; tests/unit/test_client.py pins this one.
        self._session._retry_connection = False  # noqa: SLF001
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    def renew(self) -> bool:
        """Look for another token; return whether there is one. It counts from now on."""
        renewed = self._token.renew()
        self._session.headers[_TOKEN_HEADER] = self._token.secret.get_secret_value()
        return renewed

    async def fetch(self, interaction_id: str, question: Question) -> Reply | Failure:
        """Ask once; return what was really read."""
        url = URL(self._prefix + _PATHS[question].format(interaction_id), encoded=True)
        stage = Stage.CONNECT
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                stage = Stage.BODY
                body = await self._read(response)
        except TimeoutError as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                return Failure(Trouble.TIMEOUT, Stage.CONNECT, "no connection in time")
            late = Stage.HEADERS if stage is Stage.CONNECT else stage
            return Failure(Trouble.TIMEOUT, late, f"timeout while reading {late}")
        except aiohttp.ClientConnectorError as error:
            return Failure(Trouble.NO_CONNECTION, Stage.CONNECT, _cause(error))
        except (aiohttp.ClientError, OSError, ssl.SSLError, asyncio.IncompleteReadError) as error:
            # Also a ClientResponseError: its status is aiohttp's invention, not the server's.
            late = Stage.HEADERS if stage is Stage.CONNECT else stage
            return Failure(Trouble.BROKEN_OFF, late, type(error).__name__)
        if body is None:
            return Failure(
                Trouble.TOO_LARGE,
                Stage.BODY,
                f"more than {self._max_wire_bytes} bytes sent (max_wire_bytes)",
            )
        headers = response.headers
        return Reply(
            response.status,
            body,
            ", ".join(headers.getall("Content-Encoding", ())),
            retry_after_s(headers.get("Retry-After"), self._clock.utc())
            if "Retry-After" in headers
            else None,
        )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        chunks: list[bytes] = []
        size = 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > self._max_wire_bytes:
                response.close()
                return None
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _checked(base_url: str) -> str:
    try:
        url = URL(base_url)
    except ValueError:
        url = URL()
    if url.user is not None or url.password is not None:
        raise UsageError(
            "base_url holds a user name or a password. Take them out: no API needs them."
        )
    if url.host is None or url.query_string or url.fragment:
        raise UsageError(f"base_url {base_url!r} is not of the form https://host[:port][/path].")
    if re.search(r"/v\d+/?\Z", url.path):
        raise UsageError(
            f"base_url {base_url!r} ends with the API's version, which cxai adds itself."
            f" Leave it out: {url.origin()!s}."
        )
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise UsageError(
            f"base_url {base_url!r} would send the API token in clear text."
            " Use https:// (http:// is allowed to loopback addresses alone)."
        )
    return str(url).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cause(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "host name not resolved"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return "no secure connection (TLS)"
    number = error.os_error.errno or 0  # asyncio's own text holds the address
    return os.strerror(number) if number in errno.errorcode else "no connection"
