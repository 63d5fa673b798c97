"""What one request and the head of its response are, whichever way they take.

Two adapters keep this contract, and all tests of the client run over both: session_exchange.py goes
through aiohttp's public session, thin_exchange.py over its connections and its parser alone.
"""

from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
from multidict import CIMultiDictProxy
from pydantic import SecretStr

from cxai.api.connections import Connector, Passage
from cxai.version import __version__

ACCEPT_ENCODING = "gzip, deflate, br"
"""Sent explicitly: the default of aiohttp changes with what else is installed."""

HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
    "User-Agent": f"cxai-worker/{__version__}",
}
"""What each request says beside Host and the token, to the API and to no proxy."""

TOKEN_HEADER = "X-API-Token"  # noqa: S105 - its name


class Response(Protocol):
    """A response whose head has been read. `content` is its body as sent, and may still come."""

    @property
    def status(self) -> int:
        """The status; never an interim one (1xx), but for 101."""
        ...

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields of the head."""
        ...

    @property
    def content(self) -> aiohttp.StreamReader:
        """The body. Reading it raises TimeoutError, aiohttp.ClientError or OSError."""
        ...

    def release(self) -> Any:
        """Let go of the connection: kept if the body came whole, closed otherwise."""
        ...


class Exchange(Protocol):
    """Sends requests as they are: no redirects, no cookies, no retries, nothing decoded."""

    async def send(self, target: str, passage: Passage) -> Response:
        """GET what `target` names, a path below the base URL, with the token of `passage`.

        `target` holds nothing but what a path may hold. The response has to be released. If this
        raises or is cancelled, the connection is closed. Raises TimeoutError (a
        ConnectionTimeoutError if there was no connection in time), aiohttp.ClientError,
        HttpProcessingError for what is no HTTP, and OSError.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


OpenExchange = Callable[[str, Connector, aiohttp.ClientTimeout, SecretStr | None], Exchange]
"""Makes an exchange of a base URL, connections, their time-outs and the URL of a proxy."""
