"""The port that sends one request and returns the head of its response.

The client's tests run with both adapters: session_exchange.py and thin_exchange.py.
"""

from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
from multidict import CIMultiDictProxy

from cxai.api.connections import Connector, RequestState
from cxai.core.secret_str import SecretStr
from cxai.version import __version__

ACCEPT_ENCODING = "gzip, deflate, br"
"""Sent explicitly: aiohttp's default depends on which packages are installed."""

HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
    "User-Agent": f"cxai-worker/{__version__}",
}
"""The headers of each request to the API besides Host and the token; a proxy never gets them."""

TOKEN_HEADER = "X-API-Token"  # noqa: S105 - its name


class Response(Protocol):
    """A response whose head has been read. `content` is its body as sent, perhaps incomplete."""

    @property
    def status(self) -> int:
        """The status; never an interim one (1xx) except 101."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields of the head."""

    @property
    def content(self) -> aiohttp.StreamReader:
        """The body. Reading it raises TimeoutError, aiohttp.ClientError or OSError."""

    def release(self) -> Any:
        """Release the connection, which is kept if the whole body was read, else closed."""


class Exchange(Protocol):
    """Sends requests without redirects, cookies, retries or decoding."""

    async def send(self, target: str, state: RequestState) -> Response:
        """GET `target`, a path below the base URL, with the token of `state`.

        `target` must need no quoting. The caller releases the response. If this raises or is
        cancelled, the connection is closed. Raises TimeoutError (ConnectionTimeoutError if there
        was no connection in time), aiohttp.ClientError, HttpProcessingError for a reply that is not
        HTTP, and OSError.
        """

    async def close(self) -> None:
        """Close all connections."""


OpenExchange = Callable[[str, Connector, aiohttp.ClientTimeout, SecretStr | None], Exchange]
"""Makes an exchange from a base URL, a connector, its timeouts and the URL of a proxy."""
