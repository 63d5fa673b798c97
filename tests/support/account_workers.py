"""What workers of one account are tested with: servers, clients, clocks, processes."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

from support.account import TIMEOUT_S, work
from support.stamped_server import StampedServer

from cxai.api.client import ApiClient
from cxai.api.thin_exchange import ThinExchange
from cxai.api.token import Token
from cxai.clock import SystemClock
from cxai.cluster.fetcher import GovernedFetcher
from cxai.core.secret_str import SecretStr
from cxai.policy.reply import Endpoint
from cxai.policy.table import Signal

LATE = 1
"""What a busy machine sends late can make the next second too full by one."""


class ShiftedClock(SystemClock):
    """A clock that is hours away from those of other workers, and can be set forward."""

    def __init__(self, by_s=0.0):
        self.by_s = by_s

    def monotonic(self):
        return super().monotonic() + self.by_s


class HoldingServer(StampedServer):
    """Holds each request for a while, and knows the most that it ever had at a time."""

    def __init__(self, hold_s):
        super().__init__()
        self._hold_s = hold_s
        self._held = self.most = 0
        self.paths = set()

    def _answer(self, at, request, send):
        self.arrivals.append(at)
        self.paths.add(request.split(b" ", 2)[1])
        self._held += 1
        self.most = max(self.most, self._held)
        asyncio.get_running_loop().call_later(self._hold_s, self._let_go, send)

    def _let_go(self, send):
        self._held -= 1
        send(self._response)


@asynccontextmanager
async def client_of(limiter, base_url):
    """Yield what a worker sends its requests with."""
    client = ApiClient(
        base_url,
        Token(SecretStr("a-token-of-tests"), None, lambda _token: None),
        SystemClock(),
        open_exchange=ThinExchange,
        result_path="ai",
        send_slot=limiter.send_slot,
        in_flight=10,
        connect_timeout_s=TIMEOUT_S,
        read_timeout_s=TIMEOUT_S,
        total_timeout_s=TIMEOUT_S,
        max_wire_bytes=1 << 20,
    )
    async with client:
        yield GovernedFetcher(client, limiter)


class Signing:
    """A fetcher that asks for the name of its worker instead of an ID."""

    def __init__(self, fetcher, name):
        self._fetcher, self._name = fetcher, name

    async def fetch(self, _id, _question):
        return await self._fetcher.fetch(self._name, Endpoint.RESULT)


@asynccontextmanager
async def at_work(account, api, count=1, **options):
    """Yield the limiters of workers that send requests to `api` all the time."""
    is_enough = False
    async with AsyncExitStack() as stack:
        limiters = [
            await stack.enter_async_context(account.worker(**options)) for _ in range(count)
        ]
        async with asyncio.TaskGroup() as group:
            for limiter in limiters:
                group.create_task(work(limiter, api.by(limiter), lambda: is_enough))
            try:
                yield limiters
            finally:
                is_enough = True
                for limiter in limiters:
                    limiter.learn(Signal.FAILED, 0.0)  # what waits looks again


def more_than(api, count):
    return lambda: len(api.times) > count


async def acquire(limiter):
    assert await limiter.acquire(lambda: True)
