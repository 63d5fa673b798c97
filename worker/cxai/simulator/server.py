"""The simulated API as an HTTP server on a loopback address."""

import asyncio
import ipaddress
import re
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from cxai.simulator import answers
from cxai.simulator.answer import Answer, error
from cxai.simulator.coding import choose
from cxai.simulator.fate import fate
from cxai.simulator.fault import Fault
from cxai.simulator.replies import ELSEWHERE, Asked
from cxai.simulator.scenario import Kind, Scenario
from cxai.simulator.traffic import Rate, Stats
from cxai.simulator.wire_faults import SCRIPTS, play

STATS_PATH = "/simulator/stats"

_PATH = re.compile(r"/v1/interactions/([A-Za-z0-9._~-]{1,256})(?:/(ai|status))?")
_DECLARED = "declared"
_OTHERS = {ELSEWHERE: "elsewhere"}
_MAX_PORT = 65_535
_STOP_S = 1.0


class Simulator:
    """An async context manager: serves `scenario` in the running event loop while it is open.

    Answers `GET /v1/interactions/{id}/ai`, `.../status` and `/v1/interactions/{id}` (how it was
    declared) to requests whose X-API-Token is `token`, and `GET /simulator/stats` (Stats as JSON)
    to all. Plain HTTP. Once the scenario's `token_after` requests were let in, the token is
    `next_token`.

    `host` is a loopback address (127.0.0.0/8, ::1) or `localhost`, which stands for 127.0.0.1.
    `port` 0 means any free one; after entering, `base_url` says which. Leaving closes all
    connections at once, whatever is under way. It may be entered again after that: stats, and how
    far each ID's trouble has got, live on.

    Raises ValueError if `token`, `host` or `port` can't be used, and OSError on entering if the
    port is taken.
    """

    def __init__(
        self, scenario: Scenario, *, token: str, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        if not token:
            raise ValueError("token is empty, but has to have a character at least.")
        if not 0 <= port <= _MAX_PORT:
            raise ValueError(f"port is {port}, but has to be from 0 to {_MAX_PORT}.")
        self.scenario = scenario
        self.stats = Stats()
        self._token = token
        self._let_in = 0
        self._up_since: float | None = None
        self._host = _loopback(host)
        self._port = port
        self._rate = Rate(scenario.rate)
        # Only IDs whose answers change from request to request: see Fate.trouble_lasts.
        self._troubled: dict[str, int] = {}
        self._base_url: str | None = None

    @property
    def next_token(self) -> str:
        """The token that comes after the first one."""
        return f"{self._token}-next"

    @property
    def base_url(self) -> str:
        """`http://host:port`, without a path. Raises RuntimeError before the first entering."""
        if self._base_url is None:
            raise RuntimeError("The simulator has no port yet: enter it first.")
        return self._base_url

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._http = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            tcp_keepalive=False,
            lingering_time=0,
        )
        self._listener = await self._loop.create_server(
            self._http, str(self._host), self._port, backlog=1024
        )
        port = self._listener.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if self._host.version == 6 else self._host  # noqa: PLR2004 - IPv6
        self._base_url = f"http://{host}:{port}"
        self._bound_port = port
        self._up_since = self._loop.time() if self._up_since is None else self._up_since
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        # A lost connection cancels its handler, so that nothing is left for shutdown to wait for.
        for connection in self._http.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._http.shutdown(_STOP_S)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        path = request.raw_path
        asked = _PATH.fullmatch(path) if request.method == "GET" else None
        if asked is None and (request.method, path) == ("GET", STATS_PATH):
            return web.json_response(self.stats.to_dict(), dumps=_dumps)
        now = self._loop.time()
        endpoint = (asked[2] or _DECLARED) if asked else _OTHERS.get(path, "other")
        self.stats.arrived(endpoint, now)
        try:
            if asked is None:
                answer = self._beside(request)
            else:
                answer = self._refusal(request, now) or self._answer(request, asked[1], endpoint)
            if answer.delay_s > 0:
                await asyncio.sleep(answer.delay_s)
            if answer.fault is not None:
                self.stats.by_fault[answer.fault] += 1
                if answer.fault in SCRIPTS:
                    return await _send_raw(answer, answer.fault, request)
        finally:
            self.stats.left()
        self.stats.answered(answer.status, answer.coding, len(answer.body))
        return web.Response(status=answer.status, body=answer.body, headers=answer.all_headers())

    def _beside(self, request: web.BaseRequest) -> Answer:
        if request.raw_path == ELSEWHERE:
            self.stats.strayed(with_token="X-API-Token" in request.headers)
        return error(404)

    def _refusal(self, request: web.BaseRequest, now: float) -> Answer | None:
        """Return what is answered without looking at the ID."""
        if self._up_since is not None and self.scenario.is_down(now - self._up_since):
            drops = self.scenario.outage_drops
            return Answer(503, fault=Fault.NO_REPLY) if drops else error(503, "Down, for a while.")
        token_after = self.scenario.token_after
        changed = token_after is not None and self._let_in >= token_after
        if request.headers.get("X-API-Token") != (self.next_token if changed else self._token):
            return error(401, "X-API-Token is missing or not known.")
        in_flight = self.scenario.in_flight
        if in_flight is not None and self.stats.in_flight > in_flight:
            return error(429, f"More than {in_flight} requests at the same time.")
        if not self._rate.admits(now):
            return error(
                429, f"More than {self.scenario.rate:g} requests per second.", retry_after="1"
            )
        self._let_in += 1
        return None

    def _answer(self, request: web.BaseRequest, interaction_id: str, endpoint: str) -> Answer:
        its = fate(self.scenario, interaction_id)
        earlier = self._troubled.get(interaction_id, 0) if its.trouble_lasts else 0
        counted = "status" if its.kind is Kind.PROCESSING else "ai"
        if endpoint == counted and earlier < its.trouble_lasts:
            self._troubled[interaction_id] = earlier + 1
        at = datetime.now(UTC)
        if endpoint == _DECLARED:
            return answers.declared(self.scenario, interaction_id, its)
        if endpoint == "status":
            return answers.status(self.scenario, interaction_id, its, earlier, at)
        asked = Asked(
            seed=self.scenario.seed,
            variant=its.variant,
            coding=choose(request.headers.get("Accept-Encoding", ""), its.coding_draw),
            draw=its.cut_draw,
            port=self._bound_port,
            at=at,
            token=request.headers["X-API-Token"],
        )
        return answers.result(self.scenario, its, earlier, asked)


def _loopback(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if host.lower() == "localhost":
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not (
        address in ipaddress.IPv4Network("127.0.0.0/8") or address == ipaddress.IPv6Address("::1")
    ):
        raise ValueError(
            f"host is {host!r}, but the simulator serves this machine only:"
            " 127.0.0.1, another address of 127.0.0.0/8, ::1 or localhost."
        )
    return address


async def _send_raw(answer: Answer, fault: Fault, request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        await play(SCRIPTS[fault](answer), request.transport)
    return web.Response()  # goes nowhere: the connection is closed


def _dumps(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
