"""One request to the API, over aiohttp. Failures are values, never aiohttp's exceptions."""

import asyncio
import contextlib
import re
import ssl
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp.http import HttpProcessingError

from cxai.api.base_url import checked_base_url
from cxai.api.connections import Connector, RequestState, SendSlot
from cxai.api.exchange import Exchange, OpenExchange, Response
from cxai.api.protocol import FloodError
from cxai.api.proxy import checked_proxy
from cxai.api.retry_after import retry_after_s
from cxai.api.route import Route
from cxai.api.tls import trust
from cxai.api.token import Token
from cxai.core.ports import Clock
from cxai.core.secret import Secrets
from cxai.core.secret_str import SecretStr
from cxai.errors import UsageError
from cxai.policy.reply import Endpoint, Failure, FailureKind, Reply
from cxai.policy.table import has_body
from cxai.policy.verdict import FailureStage

EXCERPT_BYTES = 16 * 2**10
"""Most bytes read of the body, as sent, of any reply but a 200: it may contain a message."""

_EXCERPT_S = 1.0

_MOST_FRESH = 10_000

_SLOW = "Check whether a proxy or firewall in between delays replies, or raise read_timeout_s."
# The last check that an ID can't change the path or the lines of the request.
_PATH_SEGMENT = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._~%-]+")

_NOT_THE_API = "Check host and port in base_url: another server may be answering there."


async def _unpaced() -> None:
    return


class ApiClient:
    """Adapter of ports.Fetcher: an async context manager; no redirects, no cookies, no retries.

    Unless the status is 200, at most EXCERPT_BYTES of a body are kept, of what comes in a second.

    `result_path` follows the ID in the URL of a result. `send_slot` is awaited before each request
    is sent. `in_flight` is the most concurrent requests and connections, so no request waits for a
    connection. `connect_timeout_s` bounds connecting (name, TCP, proxy, TLS), `total_timeout_s`
    everything from there to the last byte. A 200 is not read beyond `max_wire_bytes`, as sent.
    `ca_file` and `proxy` are those of tls.trust and proxy.checked_proxy; http to loopback never
    uses a proxy. Raises UsageError for these and for a `base_url` that can't be used.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        clock: Clock,
        *,
        open_exchange: OpenExchange,
        result_path: str,
        send_slot: SendSlot = _unpaced,
        in_flight: int,
        connect_timeout_s: float,
        read_timeout_s: float,
        total_timeout_s: float,
        max_wire_bytes: int,
        ca_file: Path | None = None,
        proxy: SecretStr | None = None,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        is_secure = self.base_url.startswith("https:")
        through = checked_proxy(proxy) if proxy is not None else None
        self._route = Route(
            through if is_secure else None, trust(ca_file) if is_secure or ca_file else None
        )
        self._endings = {Endpoint.RESULT: f"/{result_path}", Endpoint.STATUS: "/status"}
        self._token = token
        self._tokens = Secrets(token.secret.get_secret_value())
        if self._tokens.are_in(self.base_url):
            raise UsageError(
                "base_url contains the API token. Remove it there: the token is sent in a header."
            )
        self._clock = clock
        self._open_exchange = open_exchange
        self._send_slot = send_slot
        self._in_flight = in_flight
        self._connect_within_s = min(connect_timeout_s, total_timeout_s)
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s
        self._max_wire_bytes = max_wire_bytes
        self._want_fresh: set[str] = set()  # IDs whose last connection was dead
        self._connector: Connector
        self._exchange: Exchange

    async def __aenter__(self) -> Self:
        route = self._route
        self._connector = Connector(
            self._send_slot,
            in_flight=self._in_flight,
            connect_timeout_s=self._connect_within_s,
            context=route.trust.context if route.trust else None,
        )
        timeout = aiohttp.ClientTimeout(  # the total is each RequestState's deadline
            total=None, sock_connect=self._connect_within_s, sock_read=self._read_timeout_s
        )
        proxy = route.proxy.url if route.proxy else None
        self._exchange = self._open_exchange(self.base_url, self._connector, timeout, proxy)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._exchange.close()

    def renew(self) -> bool:
        """Look for a new token; return whether there is one, which is used from now on."""
        renewed = self._token.renew()
        self._tokens.add(self._token.secret.get_secret_value())
        return renewed

    async def fetch(self, interaction_id: str, endpoint: Endpoint) -> Reply | Failure:
        """Send one request; return what was read.

        With nothing sent, raises UsageError for an ID that is the token, and ValueError for one
        that is not a path segment, which IdRule never allows.
        """
        if self._tokens.include(interaction_id):
            raise UsageError(
                "The input contains the API token as an ID. It was not sent and is not shown."
                " Remove it from the input, replace the token and rerun the same command."
            )
        if not _PATH_SEGMENT.fullmatch(interaction_id):
            raise ValueError("An ID contains a character that would change the URL.")
        deadline = asyncio.get_running_loop().time() + self._total_timeout_s
        state = RequestState(self._token.secret, deadline, fresh=interaction_id in self._want_fresh)
        target = f"/v1/interactions/{interaction_id}{self._endings[endpoint]}"
        seen = await self._request(target, state)
        if isinstance(seen, Reply):
            self._want_fresh.discard(interaction_id)
        elif state.is_stale:
            self._connector.distrust()
            if len(self._want_fresh) == _MOST_FRESH:  # those that never got a reply
                self._want_fresh.clear()
            self._want_fresh.add(interaction_id)
        return seen

    async def _request(self, target: str, state: RequestState) -> Reply | Failure:
        response, stage = None, FailureStage.HEADERS
        try:
            response = await self._exchange.send(target, state)
            if not has_body(response.status):
                excerpt, is_whole = await _excerpt(response)
                return self._reply(response, excerpt, is_cut=not is_whole)
            stage = FailureStage.BODY
            body = await self._body(response)
            if state.is_garbled:
                raise aiohttp.ClientPayloadError
        except TimeoutError:
            return self._timed_out(state, stage)
        except FloodError as error:
            return Failure(FailureKind.BROKEN_OFF, stage, str(error), _NOT_THE_API)
        except (
            aiohttp.ClientError,  # also ClientResponseError, whose status aiohttp invents
            HttpProcessingError,
            OSError,
            ssl.SSLError,
            asyncio.IncompleteReadError,
        ) as error:
            return self._transport_failure(error, state, stage)
        finally:
            state.end()
            if response is not None:
                response.release()
        if body is None:
            reason = f"more than {self._max_wire_bytes} bytes received (max_wire_bytes)"
            return Failure(FailureKind.TOO_LARGE, FailureStage.BODY, reason)
        return self._reply(response, body)

    def _reply(self, response: Response, body: bytes, *, is_cut: bool = False) -> Reply:
        headers = response.headers
        return Reply(
            response.status,
            body,
            ", ".join(headers.getall("Content-Encoding", ())),
            retry_after_s(headers.get("Retry-After"), self._clock.utc()),
            is_cut,
        )

    def _timed_out(self, state: RequestState, stage: FailureStage) -> Failure:
        if state.sent:
            return Failure(FailureKind.TIMEOUT, stage, f"timeout while reading {stage}", _SLOW)
        limit_s = self._total_timeout_s if state.connection else self._connect_within_s
        return self._route.timed_out(f"{limit_s:g} s")

    def _transport_failure(
        self, error: Exception, state: RequestState, stage: FailureStage
    ) -> Failure:
        if state.connection is None:
            return self._route.failure(error)
        if state.is_stale or not state.sent:
            # RFC 9110, 9.2.2 and RFC 9112, 9.3.1: this does not concern the request itself.
            reason = "the server had closed the kept connection"
            return Failure(FailureKind.NO_CONNECTION, stage, reason)
        is_http = not isinstance(error, aiohttp.ClientResponseError | HttpProcessingError)
        reason = type(error).__name__ if is_http else "the response is not valid HTTP"
        return Failure(FailureKind.BROKEN_OFF, stage, reason, _NOT_THE_API)

    async def _body(self, response: Response) -> bytes | None:
        content, chunks, size = response.content, [], 0
        while not content.at_eof():
            chunk = await content.readany()
            size += len(chunk)
            if size > self._max_wire_bytes:
                return None
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _excerpt(response: Response) -> tuple[bytes, bool]:
    """Return up to EXCERPT_BYTES of a body, and whether that is all of it; never fails.

    A slow body must not delay the pause that the reply may demand.
    """
    excerpt, is_whole = bytearray(), False
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_EXCERPT_S):
            while not is_whole and len(excerpt) < EXCERPT_BYTES:
                chunk = await response.content.readany()
                excerpt += chunk
                is_whole = not chunk
    return bytes(excerpt[:EXCERPT_BYTES]), is_whole
