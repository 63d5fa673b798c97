"""One request to the API, over aiohttp. Foreign exceptions end here: failures are values."""

import asyncio
import contextlib
import re
import ssl
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp.http import HttpProcessingError

from cxai.api.base_url import checked_base_url
from cxai.api.connections import Connector, Passage, SendSlot
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

WORDS_BYTES = 16 * 2**10
"""Of any reply but a 200, as much is read of the body, as sent: for the API's message."""

_WORDS_S = 1.0

_MOST_FRESH = 10_000

_SLOW = "Check whether something on the way holds replies back, or raise read_timeout_s."
# No ID leads to another resource or ends a line of the request, whatever let it through before.
_PATH_SEGMENT = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._~%-]+")

_NOT_THE_API = "Check host and port in base_url: something else than the API may answer there."


async def _at_once() -> None:
    return


class ApiClient:
    """Adapter of ports.Fetcher: no redirects, no cookies, no retries.

    The status line decides: a reply with any other status than 200 is a reply, whatever becomes of
    its body, of which the first WORDS_BYTES are kept as far as they come at once.

    `base_url` is where the API is, as checked_base_url returns it. `result_path` follows the ID
    in the URL of a result. `open_exchange` makes what requests go through
    (exchanges.chosen_exchange).
    `send_slot` is awaited before each request goes onto its connection.
    `in_flight` is the most requests under way at a time, and the size of the connection pool, so
    that no request ever waits for a connection. Timeouts are seconds; `connect_timeout_s` bounds
    all of a connection (name, TCP, proxy, TLS), `total_timeout_s` everything from there to the last
    byte, however slowly it drips. The body of a 200 that has more than `max_wire_bytes` (as sent)
    is not read to its end. `ca_file` and `proxy` are those of
    tls.trust and proxy.checked_proxy; http to loopback never goes through a proxy. Use it as an
    async context manager.
    Raises UsageError for a base URL that is not https (http is allowed to loopback alone), and
    for a CA file or a proxy that can't be used.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        clock: Clock,
        *,
        open_exchange: OpenExchange,
        result_path: str,
        send_slot: SendSlot = _at_once,
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
        self._clock = clock
        self._open_exchange = open_exchange
        self._send_slot = send_slot
        self._in_flight = in_flight
        self._connect_within_s = min(connect_timeout_s, total_timeout_s)
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s
        self._max_wire_bytes = max_wire_bytes
        self._want_fresh: set[str] = set()  # IDs whose request met a dead connection
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
        timeout = aiohttp.ClientTimeout(  # the total is the deadline of each Passage
            total=None, sock_connect=self._connect_within_s, sock_read=self._read_timeout_s
        )
        proxy = route.proxy.url if route.proxy else None
        self._exchange = self._open_exchange(self.base_url, self._connector, timeout, proxy)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._exchange.close()

    def renew(self) -> bool:
        """Look for another token; return whether there is one. It counts from now on."""
        renewed = self._token.renew()
        self._tokens.add(self._token.secret.get_secret_value())
        return renewed

    async def fetch(self, interaction_id: str, endpoint: Endpoint) -> Reply | Failure:
        """Ask once; return what was really read.

        Raises UsageError, with nothing sent, for an ID that is the token: it must be in no URL;
        ValueError for one that is no part of a path, which IdRule lets through for no input.
        """
        if self._tokens.include(interaction_id):
            raise UsageError(
                "The input has the API token among its IDs. It was not sent and is not shown."
                " Take it out of the input, replace the token, and run the same command again."
            )
        if not _PATH_SEGMENT.fullmatch(interaction_id):
            raise ValueError("An ID with a character that changes the URL.")
        deadline = asyncio.get_running_loop().time() + self._total_timeout_s
        passage = Passage(self._token.secret, deadline, fresh=interaction_id in self._want_fresh)
        target = f"/v1/interactions/{interaction_id}{self._endings[endpoint]}"
        seen = await self._ask(target, passage)
        if isinstance(seen, Reply):
            self._want_fresh.discard(interaction_id)
        elif passage.is_stale:
            self._connector.distrust()
            if len(self._want_fresh) == _MOST_FRESH:  # those that never got a reply
                self._want_fresh.clear()
            self._want_fresh.add(interaction_id)
        return seen

    async def _ask(self, target: str, passage: Passage) -> Reply | Failure:
        response, stage = None, FailureStage.HEADERS
        try:
            response = await self._exchange.send(target, passage)
            if not has_body(response.status):
                words, is_whole = await _words(response)
                return self._reply(response, words, is_cut=not is_whole)
            stage = FailureStage.BODY
            body = await self._body(response)
            if passage.is_garbled:
                raise aiohttp.ClientPayloadError
        except TimeoutError:
            return self._late(passage, stage)
        except FloodError as error:
            return Failure(FailureKind.BROKEN_OFF, stage, str(error), _NOT_THE_API)
        except (
            aiohttp.ClientError,  # also a ClientResponseError: its status is aiohttp's invention
            HttpProcessingError,
            OSError,
            ssl.SSLError,
            asyncio.IncompleteReadError,
        ) as error:
            return self._broken(error, passage, stage)
        finally:
            passage.end()
            if response is not None:
                response.release()
        if body is None:
            reason = f"more than {self._max_wire_bytes} bytes sent (max_wire_bytes)"
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

    def _late(self, passage: Passage, stage: FailureStage) -> Failure:
        if passage.sent:
            return Failure(FailureKind.TIMEOUT, stage, f"timeout while reading {stage}", _SLOW)
        limit_s = self._total_timeout_s if passage.connection else self._connect_within_s
        return self._route.too_late(f"{limit_s:g} s")

    def _broken(self, error: Exception, passage: Passage, stage: FailureStage) -> Failure:
        if passage.connection is None:
            return self._route.failure(error)
        if passage.is_stale or not passage.sent:
            # RFC 9110, 9.2.2 and RFC 9112, 9.3.1: it says nothing of the request.
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


async def _words(response: Response) -> tuple[bytes, bool]:
    """Return what comes of a body at once, WORDS_BYTES at most, and whether it is all; never fails.

    The status has been read: neither a body without end nor a broken one may take it back, nor
    may a dripping one keep everyone from the pause that it asks for.
    """
    words, is_whole = bytearray(), False
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_WORDS_S):
            while not is_whole and len(words) < WORDS_BYTES:
                chunk = await response.content.readany()
                words += chunk
                is_whole = not chunk
    return bytes(words[:WORDS_BYTES]), is_whole
