"""Workers of one account, each with a connection of its own to a real database."""

import asyncio
from contextlib import asynccontextmanager
from importlib.resources import files

from cxai.clock import SystemClock
from cxai.cluster.engine import Engine
from cxai.cluster.fetcher import GovernedFetcher
from cxai.cluster.limiter import ClusterLimiter
from cxai.cluster.limits import AccountLimits
from cxai.cluster.slots import Slots
from cxai.cluster.url import parse_engine_url
from cxai.policy.reply import Reply

TIMEOUT_S = 0.5
"""The longest that a request takes."""


class Account:
    """The limits of one account in a database."""

    def __init__(self, database, rate, in_flight=10):
        self.database = database
        if rate is None:  # another process has set them
            return
        database.execute("CREATE SCHEMA cxai")
        for name in ("account.sql", "limits.sql"):
            statements = files("cxai.cluster").joinpath(name).read_text()
            database.execute(statements, search_path="cxai")
        self.limit_to(rate, in_flight)

    def execute(self, statement, *values):
        return self.database.execute(statement, values, search_path="cxai")

    def limit_to(self, rate, in_flight):
        self.execute("SELECT limit_to(%s::float8, %s::int)", rate, in_flight)

    def register(self):
        ((worker,),) = self.execute(
            "INSERT INTO worker (id, export, name)"
            " SELECT coalesce(max(id), 0) + 1, 'nightly', 'a worker' FROM worker RETURNING id"
        )
        return worker

    def engine(self, port=None):
        """Return a connection for the limits, to be closed; `port` may be that of a proxy."""
        url = parse_engine_url(self.database.url(port=port))
        return Engine(url, purpose="limits", answer_s=1.0 if port else 10.0)

    def holders(self):
        """Return who holds each slot that is held, by its number."""
        return dict(self.execute("SELECT n, holder FROM slot WHERE holder IS NOT NULL"))

    @asynccontextmanager
    async def worker(self, clock=None, *, port=None, reserve_s=1.0, **options):
        """Yield the limiter of one more worker."""
        engine, clock = self.engine(port), clock or SystemClock()
        limits = AccountLimits(engine.rows)
        slots = Slots(
            limits,
            self.register(),
            clock,
            total_timeout_s=TIMEOUT_S,
            reserve_s=reserve_s,
            beat_s=0.25,
        )
        try:
            async with ClusterLimiter(limits, slots, clock, rate=1.0, **options) as limiter:
                yield limiter
        finally:
            await engine.close()


class TimedApi:
    """A fetcher that notes when each request leaves, and how many are under way."""

    def __init__(self, clock=None, latency_s=0.02):
        self._now = (clock or SystemClock()).monotonic
        self.latency_s = latency_s
        self.times = []
        self.under_way = self.most = 0

    def by(self, limiter):
        """Return the fetcher of one worker, as a run has it."""
        return GovernedFetcher(_Client(self, limiter), limiter)

    async def answer(self):
        self.times.append(self._now())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.latency_s)
            return Reply(200, b"")
        finally:
            self.under_way -= 1


class _Client:
    def __init__(self, api, limiter):
        self._api, self._limiter = api, limiter

    async def fetch(self, _id, _question):
        await self._limiter.send_slot()
        return await self._api.answer()


async def work(limiter, fetcher, enough, requesters=10):
    """Send requests as a pipeline does, until `enough()`."""
    turn = asyncio.Lock()

    async def one():
        while not enough():
            async with turn:
                if not await limiter.acquire(lambda: not enough()):
                    return
            await fetcher.fetch("id", None)

    async with asyncio.TaskGroup() as group:
        for _ in range(requesters):
            group.create_task(one())
