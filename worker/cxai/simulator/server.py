"""The simulated API as an HTTP server on 127.0.0.1."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

import orjson
from aiohttp import web

from cxai.simulator import responses
from cxai.simulator.behaviour import behaviour_of
from cxai.simulator.coding import choose
from cxai.simulator.exchange import RequestContext, Response, error
from cxai.simulator.faults import Fault
from cxai.simulator.response_faults import ELSEWHERE
from cxai.simulator.scenario import Kind, Scenario
from cxai.simulator.traffic import Rate, Stats
from cxai.simulator.wire_faults import play, raw

STATS_PATH = "/simulator/stats"

_PATH = re.compile(r"/v1/interactions/([A-Za-z0-9._~-]{1,256})/(ai|status)")
_OTHERS = {ELSEWHERE: "elsewhere"}
_HOST = "127.0.0.1"
_MAX_PORT = 65_535
_STOP_S = 1.0


class Simulator:
    """An async context manager: serves `scenario` in the running event loop while it is open.

    Responds to `GET /v1/interactions/{id}/ai` and `.../status` if X-API-Token is `token` (later
    `next_token`), and to `GET /simulator/stats` (Stats as JSON) without one.

    `port` 0 means any free one. Closing aborts all connections. It can be opened again, with the
    stats and each ID's progress kept. Raises ValueError if `token` or `port` can't be used, and
    OSError on opening if the port is taken.
    """

    def __init__(self, scenario: Scenario, *, token: str, port: int = 0) -> None:
        if not token:
            raise ValueError("token is empty, but must have at least one character.")
        if not 0 <= port <= _MAX_PORT:
            raise ValueError(f"port is {port}, but must be from 0 to {_MAX_PORT}.")
        self.scenario = scenario
        self.stats = Stats()
        self.next_token = f"{token}-next"
        self._token = token
        self._accepted = 0
        self._up_since: float | None = None
        self._port = port
        self._rate = Rate(scenario.rate)
        # Only of IDs whose responses change from request to request: see Behaviour.affected.
        self._affected: dict[str, int] = {}
        self._bound_port = 0

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:port`, without a path. Raises RuntimeError before the first opening."""
        if not self._bound_port:
            raise RuntimeError("The simulator has no port yet: open it first.")
        return f"http://{_HOST}:{self._bound_port}"

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._http = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            tcp_keepalive=False,
            lingering_time=0,
        )
        self._listener = await self._loop.create_server(self._http, _HOST, self._port, backlog=1024)
        self._bound_port = self._listener.sockets[0].getsockname()[1]
        self._up_since = self._loop.time() if self._up_since is None else self._up_since
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        # A lost connection cancels its handler, so shutdown has nothing left to wait for.
        for connection in self._http.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._http.shutdown(_STOP_S)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        path, now = request.raw_path, self._loop.time()
        if (request.method, path) == ("GET", STATS_PATH):
            return web.json_response(self.stats.to_dict(), dumps=_dumps)
        found = _PATH.fullmatch(path) if request.method == "GET" else None
        endpoint = found[2] if found else _OTHERS.get(path, "other")
        self.stats.arrived(endpoint, now)
        try:
            if found is None:
                response = self._other(request)
            else:
                response = self._refusal(request, now) or self._respond(request, found[1], endpoint)
            if response.delay_s > 0:
                await asyncio.sleep(response.delay_s)
            if response.fault is not None:
                self.stats.by_fault[response.fault] += 1
            if response.script is not None:
                if request.transport is not None:
                    await play(response.script, request.transport)
                return web.Response()  # goes nowhere: the connection is closed
        finally:
            self.stats.left()
        self.stats.answered(response.status, response.coding, len(response.body))
        return web.Response(status=response.status, body=response.body, headers=response.headers)

    def _other(self, request: web.BaseRequest) -> Response:
        if request.raw_path == ELSEWHERE:
            self.stats.strays += 1
            self.stats.strays_with_token += "X-API-Token" in request.headers
        return error(404)

    def _refusal(self, request: web.BaseRequest, now: float) -> Response | None:
        """Return the response that does not depend on the ID, if there is one."""
        scenario = self.scenario
        if self._up_since is not None and scenario.is_down(now - self._up_since):
            down = error(503, "Down for a while.")
            if not scenario.outage_drops:
                return down
            return replace(down, fault=Fault.NO_REPLY.value, script=raw(b"")(down))
        is_renewed = scenario.token_after is not None and self._accepted >= scenario.token_after
        if request.headers.get("X-API-Token") != (self.next_token if is_renewed else self._token):
            return error(401, "X-API-Token is missing or wrong.")
        if scenario.in_flight is not None and self.stats.in_flight > scenario.in_flight:
            return error(429, f"More than {scenario.in_flight} requests at the same time.")
        if not self._rate.admits(now):
            message = f"More than {scenario.rate:g} requests per second."
            return error(429, message, retry_after="1")
        self._accepted += 1
        return None

    def _respond(self, request: web.BaseRequest, interaction_id: str, endpoint: str) -> Response:
        scenario, its = self.scenario, behaviour_of(self.scenario, interaction_id)
        earlier = self._affected.get(interaction_id, 0) if its.affected else 0
        counted = "status" if its.kind is Kind.PROCESSING else "ai"
        if endpoint == counted and earlier < its.affected:
            self._affected[interaction_id] = earlier + 1
        at = datetime.now(UTC)
        if endpoint == "status":
            return responses.status(scenario, interaction_id, its, earlier, at)
        context = RequestContext(
            seed=scenario.seed,
            variant=its.variant,
            coding=choose(request.headers.get("Accept-Encoding", ""), its.coding_draw),
            draw=its.draw,
            port=self._bound_port,
            at=at,
            token=request.headers["X-API-Token"],
        )
        return responses.result(scenario, its, earlier, context)


def _dumps(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
