"""Requests over aiohttp's ClientSession, for any version of aiohttp."""

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from cxai.api.connections import REQUEST, Connector, RequestState, check_usable
from cxai.api.exchange import HEADERS, TOKEN_HEADER
from cxai.core.secret_str import SecretStr


class _Request(aiohttp.ClientRequest):
    """Adds the token to a request as it is sent.

    If it were among the session's headers, aiohttp would also send it to a proxy, in clear text.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        state = REQUEST.get()
        check_usable(conn)
        state.sent = True
        self.headers[TOKEN_HEADER] = state.token.get_secret_value()
        return await super().send(conn)


class SessionExchange:
    """Adapter of Exchange: one session."""

    def __init__(
        self,
        base_url: str,
        connector: Connector,
        timeout: aiohttp.ClientTimeout,
        proxy: SecretStr | None,
    ) -> None:
        self._base_url = base_url
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=HEADERS,
            proxy=proxy.get_secret_value() if proxy else None,
            timeout=timeout,
            auto_decompress=False,  # aiohttp returns a truncated body as a success
            trust_env=False,
        )
        # aiohttp resends a GET when a kept connection drops, without pacing. There is no public
        # switch; tests/faults/test_connections.py tests this private one.
        self._session._retry_connection = False  # noqa: SLF001

    async def send(self, target: str, state: RequestState) -> aiohttp.ClientResponse:
        REQUEST.set(state)
        url = URL(self._base_url + target, encoded=True)
        return await self._session.get(url, allow_redirects=False)

    async def close(self) -> None:
        await self._session.close()
