"""Workers that share an account stay below its limits together, whatever happens to one of them.

Rates are those at which a server has requests, or at which they leave, never how long it took: a
busy machine is late, but it is never early.
"""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.account import TIMEOUT_S, Account, TimedApi, work
from support.arrivals import most_within
from support.cut_proxy import CutProxy
from support.stamped_server import StampedServer
from support.waiting import wait_until

from cxai.api.client import ApiClient
from cxai.api.thin_exchange import ThinExchange
from cxai.api.token import Token
from cxai.clock import SystemClock
from cxai.cluster.engine_clock import EngineClock
from cxai.cluster.fetcher import GovernedFetcher
from cxai.cluster.limiter import TurnLostError
from cxai.cluster.limits import HORIZON_S, SLICE_S, AccountLimits
from cxai.cluster.rate_feedback import RateFeedback
from cxai.cluster.ticks import SLACK_S
from cxai.policy.reply import Endpoint
from cxai.policy.table import Signal

pytestmark = pytest.mark.long(22)

HOUR_S = 3_600.0
LATE = 1  # what a busy machine sends late can make the next second too full by one
PAUSE_REACHES_S = HORIZON_S + SLICE_S + SLACK_S


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


# --- all together ---


@pytest.mark.promise(
    "Three workers on one account, with clocks that differ by hours",
    "requests per second and in flight stay below the account's limits",
    group="Cluster",
)
async def test_three_workers_stay_below_both_limits_with_clocks_that_differ_by_hours(database):
    rate, in_flight, requests = 100, 4, 200
    account = Account(database, rate, in_flight)
    async with (
        HoldingServer(hold_s=0.03) as server,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as group,
    ):
        for number in range(3):
            clock = ShiftedClock(number * 7 * HOUR_S)
            limiter = await stack.enter_async_context(account.worker(clock))
            client = await stack.enter_async_context(client_of(limiter, server.base_url))
            enough = lambda: len(server.arrivals) > requests  # noqa: E731
            group.create_task(work(limiter, Signing(client, str(number)), enough))
    assert server.max_per_second <= rate + LATE
    assert server.most <= in_flight
    assert {path.split(b"/")[3] for path in server.paths} == {b"0", b"1", b"2"}


async def test_below_one_a_second_two_workers_send_one_in_the_time_that_it_takes(database):
    api = TimedApi()
    async with at_work(Account(database, 0.8), api, count=2):
        await wait_until(more_than(api, 1))
    assert api.times[1] - api.times[0] >= 1 / 0.8


async def test_another_rate_is_followed_by_all(database):
    account, api = Account(database, 0.1), TimedApi()
    async with at_work(account, api, count=2) as limiters:
        await wait_until(lambda: all(limiter.rate == 0.1 for limiter in limiters))
        account.limit_to(100.0, 10)
        await wait_until(more_than(api, 20))
        await wait_until(lambda: all(limiter.rate_limit == 100.0 for limiter in limiters))
    assert most_within(sorted(api.times), 1.0) <= 100 + LATE


# --- slots ---


async def test_a_worker_alone_may_use_all_slots_and_then_shares_them(database):
    account, api = Account(database, 500.0, in_flight=6), TimedApi(latency_s=0.1)
    async with at_work(account, api) as (one,):
        await wait_until(lambda: one.slots.usable == 6, "all slots")
        async with at_work(account, api) as (other,):
            await wait_until(lambda: one.slots.usable == other.slots.usable == 3, "a fair share")
        await wait_until(lambda: one.slots.usable == 6, "what the other one has given back")
    assert api.most <= 6


async def test_slots_of_requests_under_way_are_kept_though_the_share_is_smaller_by_now(database):
    account = Account(database, 500.0, in_flight=4)
    async with account.worker() as one, account.worker() as other:
        async with AsyncExitStack() as requests:
            for _ in range(4):
                await requests.enter_async_context(one.slots.one())
            for _ in range(3):
                one.slots.can_start()
                other.slots.can_start()
                await other.slots.renew()
                await one.slots.renew()
            assert one.slots.usable == 2
            assert other.slots.usable == 0
            assert len(account.holders()) == 4
        await wait_until(other.slots.can_start, "a slot whose request is over")


async def test_an_idle_worker_keeps_no_slots_from_others(database):
    account, api = Account(database, 500.0, in_flight=6), TimedApi(latency_s=0.1)
    async with account.worker() as idle:
        await wait_until(lambda: idle.slots.total, "its first beat")
        async with at_work(account, api) as (busy,):
            await wait_until(lambda: busy.slots.usable == 6, "all slots")


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("how", [asyncio.CancelledError, BrokenError])
async def test_a_slot_is_given_back_exactly_when_its_request_is_over_however_it_ends(database, how):
    async with Account(database, 500.0).worker() as limiter:

        async def end():
            async with limiter.slots.one():
                assert limiter.slots.in_flight == 1
                raise how

        with pytest.raises(how):
            await end()
        assert limiter.slots.in_flight == 0


async def test_slots_that_will_be_free_soon_are_known_from_how_long_requests_take(database):
    async with Account(database, 500.0, in_flight=4).worker() as limiter:
        slots = limiter.slots
        async with slots.one():
            await asyncio.sleep(0.05)
        async with slots.one(), slots.one(), slots.one():
            await wait_until(lambda: slots.can_start() and slots.free == 1, "the fourth slot")
            assert slots.free_within(0.0) == 1
            assert slots.free_within(60.0) == 4


async def test_a_worker_without_a_slot_says_so_and_has_one_when_another_ends(database):
    account, api = Account(database, 500.0, in_flight=1), TimedApi()
    async with at_work(account, api) as (one,):
        await wait_until(lambda: one.slots.usable == 1)
        assert one.waits_for == ""
        async with at_work(account, api) as (other,):
            words = "a slot: other workers hold all of them (1)"
            await wait_until(lambda: words in {one.waits_for, other.waits_for}, words)
        await wait_until(lambda: one.slots.usable == 1)
    assert api.most <= 1


async def test_a_worker_that_ends_gives_its_slots_back(database):
    account, api = Account(database, 500.0), TimedApi()
    async with at_work(account, api):
        await wait_until(more_than(api, 0))
        assert account.holders()
    assert account.holders() == {}


# --- a request at the moment when it leaves ---


async def test_a_request_that_was_connecting_for_too_long_waits_for_another_turn(database):
    class Connecting(TimedApi):
        async def answer(self):
            assert asyncio.current_task() not in sent
            sent.add(asyncio.current_task())
            return await super().answer()

    class SlowAtFirst:
        tries = 0

        async def fetch(self, _id, _question):
            self.tries += 1
            if self.tries == 1:
                await asyncio.sleep(3 * SLACK_S)
            await limiter.send_slot()
            return await api.answer()

    sent, api, client = set(), Connecting(), SlowAtFirst()
    async with Account(database, 100.0).worker() as limiter:
        await acquire(limiter)
        await GovernedFetcher(client, limiter).fetch("id", None)
    assert (client.tries, len(api.times)) == (2, 1)


async def test_what_had_its_turn_does_not_leave_in_a_pause(database):
    async with Account(database, 100.0).worker() as limiter:
        await acquire(limiter)
        limiter.pause(60.0, "enough")
        with pytest.raises(TurnLostError):
            await limiter.send_slot()


async def test_nothing_leaves_on_a_lease_that_a_frozen_worker_has_slept_through(database):
    clock = ShiftedClock()
    async with Account(database, 100.0).worker(clock, reserve_s=1.0) as limiter:
        await acquire(limiter)
        clock.by_s = 0.5 + SLACK_S / 2  # the tick is good for as long, but the lease is not
        assert limiter.slots.outlasts_a_request
        clock.by_s = 1.5
        assert not limiter.slots.outlasts_a_request
        with pytest.raises(TurnLostError):
            await limiter.send_slot()


# --- pauses ---


@pytest.mark.promise(
    "One worker gets a 429",
    "all workers pause, within 0.3 s",
    group="Cluster",
)
async def test_a_pause_reaches_all_workers_at_once(database):
    api = TimedApi(latency_s=0.01)
    async with at_work(Account(database, 100.0), api, count=2) as (one, other):
        await wait_until(more_than(api, 20))
        paused_at = SystemClock().monotonic()
        one.pause(1.0, "enough")
        await wait_until(lambda: other.paused, "the pause of the other one")
        known_at = SystemClock().monotonic()
        sent = len(api.times)
        await wait_until(more_than(api, sent))
    meanwhile = [time - paused_at for time in api.times if paused_at < time < paused_at + 1.0]
    assert known_at - paused_at < 1.0
    assert max(meanwhile, default=0.0) < PAUSE_REACHES_S + 0.02
    left_s, why = (api.times[sent] - paused_at, other.paused)
    assert left_s >= 1.0 - 1e-3
    assert why is None


async def test_others_say_who_was_refused(database):
    account = Account(database, 100.0)
    async with account.worker() as one, account.worker() as other:
        one.pause(60.0, "enough")
        asked = asyncio.create_task(other.acquire(lambda: True))
        await wait_until(lambda: other.paused)
        left_s, why = other.paused
        asked.cancel()
    assert 55 < left_s <= 60.1
    assert why == "the API asked another worker for fewer requests"


# --- refusals ---


async def test_two_workers_that_are_refused_at_once_halve_the_rate_once(database):
    account = Account(database, 100.0)
    async with account.worker() as one, account.worker() as other:
        await asyncio.gather(acquire(one), acquire(other))
        left_s = SystemClock().monotonic()
        await asyncio.sleep(0.05)
        for limiter in (one, other):
            limiter.learn(Signal.THROTTLED, left_s)
        await wait_until(lambda: one.rate == other.rate == 50.0)
    assert account.execute("SELECT rate_now FROM governor") == [(50.0,)]


async def test_without_adapting_a_refusal_changes_nothing(database):
    account = Account(database, 100.0)
    async with account.worker(adaptive=False) as limiter:
        await acquire(limiter)
        limiter.learn(Signal.THROTTLED, SystemClock().monotonic())
        limiter.note_overload(SystemClock().monotonic())
        await acquire(limiter)
    assert account.execute("SELECT rate_now, learned FROM governor") == [(100.0, None)]


class Learner:
    """A worker's feedback, on a clock of the test."""

    def __init__(self, query, start):
        self.feedback = RateFeedback(AccountLimits(query), EngineClock(), asyncio.Event())
        self.now = start

    async def learn(self, signal=None, *, after_s=1.0):
        """Fold in what was learned so many seconds later."""
        self.now += after_s
        if signal is not None:
            self.feedback.learn(signal, self.now, self.now, in_use=True)
        else:
            self.feedback.restore()
        return await self.feedback.merge(SystemClock().monotonic)


@asynccontextmanager
async def learners(account, count):
    start = SystemClock().monotonic()
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            engine = account.engine()
            stack.push_async_callback(engine.close)
            found.append(Learner(engine.rows, start))
        yield found


async def test_the_rate_comes_back_by_the_answers_of_all_and_by_time_not_by_their_number(database):
    account = Account(database, 100.0)
    async with learners(account, 2) as (one, other):
        assert await one.learn(Signal.THROTTLED) == 50.0
        other.feedback.is_needed = True
        other.now = one.now
        half_way = await other.learn(Signal.ANSWERED)
        assert 50.0 < half_way < 95.0
        assert await one.learn(Signal.ANSWERED) == pytest.approx(half_way, abs=0.5)
        assert await one.learn(Signal.ANSWERED) == pytest.approx(95.0, abs=0.5)


async def test_what_was_lowered_for_single_ids_is_given_back_to_all(database):
    account = Account(database, 100.0)
    async with learners(account, 1) as (one,):
        assert await one.learn(Signal.THROTTLED) == 50.0
        assert await one.learn(None) == 100.0


async def test_answers_cost_no_round_trip_while_there_is_nothing_to_remember(database):
    account = Account(database, 100.0)
    async with learners(account, 1) as (one,):
        assert await one.learn(Signal.ANSWERED) is None


# --- the engine and workers that fail ---


@pytest.mark.promise(
    "PostgreSQL is away while requests are to leave",
    "none leaves without a slot and a tick; they go on when it is back",
    group="Cluster",
)
async def test_when_the_engine_is_killed_requests_stop_and_go_on_when_it_is_back(own_postgres):
    account, api = Account(own_postgres.new_database(), 100.0), TimedApi(latency_s=0.01)
    async with at_work(account, api, count=2) as limiters:
        await wait_until(more_than(api, 20))
        own_postgres.kill()
        await wait_until(lambda: all(limiter.cause for limiter in limiters), "its absence")
        assert all("the database" in limiter.waits_for for limiter in limiters)
        sent = len(api.times)
        own_postgres.start()
        await wait_until(more_than(api, sent + 50))
        await wait_until(lambda: not any(limiter.cause for limiter in limiters))
    assert most_within(sorted(api.times), 1.0) <= 100 + LATE
    assert api.most <= 10


async def test_a_worker_whose_network_falls_silent_starts_nothing_beside_those_who_took_over(
    database,
):
    account, api = Account(database, 200.0, in_flight=1), TimedApi()
    async with (
        CutProxy(database.port) as proxy,
        at_work(account, api, port=proxy.port) as (silenced,),
    ):
        await wait_until(more_than(api, 3))
        proxy.is_silent = True
        async with at_work(account, api) as (other,):
            await wait_until(lambda: other.slots.usable == 1, "the end of the lease")
            assert silenced.slots.free == 0
            sent = len(api.times)
            await wait_until(more_than(api, sent + 20))
        proxy.is_silent = False
        proxy.cut()
        sent = len(api.times)
        await wait_until(more_than(api, sent + 20), "requests of the one that is back")
    assert api.most == 1


WORKER = """
import asyncio, sys
sys.path[:0] = {path!r}
from support.account import TIMEOUT_S, Account, work
from support.postgres import Database
from test_limiter import client_of, Signing

async def main():
    account = Account(Database({port}, {name!r}), rate=None)
    async with account.worker() as limiter, client_of(limiter, {url!r}) as client:
        await work(limiter, Signing(client, "other"), lambda: False)

asyncio.run(main())
"""


@asynccontextmanager
async def worker_process(account, server):
    """Yield a worker in a process of its own, that has all slots."""
    here = str(Path(__file__).parent)
    program = WORKER.format(
        path=[here, *sys.path],
        port=account.database.port,
        name=account.database.name,
        url=server.base_url,
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await wait_until(lambda: len(server.arrivals) > 3, "its first requests")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.promise(
    "A worker is frozen for longer than its lease, and wakes up",
    "it sends nothing on what it held before",
    group="Cluster",
)
async def test_a_frozen_worker_that_wakes_up_sends_nothing_beside_those_who_took_over(database):
    account = Account(database, 200.0, in_flight=1)
    async with HoldingServer(hold_s=0.02) as server, worker_process(account, server) as frozen:
        frozen.send_signal(signal.SIGSTOP)
        async with account.worker() as limiter, client_of(limiter, server.base_url) as client:
            enough = False
            mine = asyncio.create_task(work(limiter, Signing(client, "mine"), lambda: enough))
            await wait_until(lambda: limiter.slots.usable == 1, "the end of its lease")
            sent = len(server.arrivals)
            frozen.send_signal(signal.SIGCONT)
            await wait_until(lambda: len(server.arrivals) > sent + 40)
            enough = True
            await mine
    assert server.most == 1


@pytest.mark.promise(
    "A worker is killed with requests in flight",
    "its places come back when none of them can be under way any more",
    group="Cluster",
)
async def test_the_slots_of_a_killed_worker_come_back_when_its_lease_is_over(database):
    account = Account(database, 200.0, in_flight=2)
    async with HoldingServer(hold_s=0.02) as server, worker_process(account, server) as other:
        other.kill()
        await other.wait()
        held = account.holders()
        assert held
        async with account.worker() as limiter:
            asked = asyncio.create_task(limiter.acquire(lambda: True))
            await wait_until(lambda: limiter.slots.total, "an answer of the database")
            still_held = {n for n, holder in account.holders().items() if holder in held.values()}
            assert still_held == held.keys()
            await wait_until(lambda: limiter.slots.usable, "the end of the lease")
            assert await asked
