"""Workers that share an account stay within its limits together.

Rates are those at which a server gets requests, or at which they leave, never how long it took: a
busy machine is late, but it is never early.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.account import Account, TimedApi, work
from support.account_workers import (
    LATE,
    HoldingServer,
    ShiftedClock,
    Signing,
    acquire,
    at_work,
    client_of,
    more_than,
)
from support.arrivals import most_within
from support.waiting import wait_until

from cxai.clock import SystemClock
from cxai.cluster.fetcher import GovernedFetcher
from cxai.cluster.limiter import TurnLostError
from cxai.cluster.limits import HORIZON_S, SLICE_S
from cxai.cluster.ticks import SLACK_S

pytestmark = pytest.mark.long(8)

HOUR_S = 3_600.0
PAUSE_REACHES_S = HORIZON_S + SLICE_S + SLACK_S


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


async def test_below_one_request_a_second_two_workers_keep_the_interval_together(database):
    api = TimedApi()
    async with at_work(Account(database, 0.8), api, count=2):
        await wait_until(more_than(api, 1))
    assert api.times[1] - api.times[0] >= 1 / 0.8


async def test_all_workers_follow_a_changed_rate(database):
    account, api = Account(database, 0.1), TimedApi()
    async with at_work(account, api, count=2) as limiters:
        await wait_until(lambda: all(limiter.rate == 0.1 for limiter in limiters))
        account.limit_to(100.0, 10)
        await wait_until(more_than(api, 20))
        await wait_until(lambda: all(limiter.rate_limit == 100.0 for limiter in limiters))
    assert most_within(sorted(api.times), 1.0) <= 100 + LATE


# --- a request at the moment when it leaves ---


async def test_a_request_that_connects_for_too_long_waits_for_another_turn(database):
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


async def test_a_request_that_had_its_turn_does_not_leave_during_a_pause(database):
    async with Account(database, 100.0).worker() as limiter:
        await acquire(limiter)
        limiter.pause(60.0, "enough")
        with pytest.raises(TurnLostError):
            await limiter.send_slot()


async def test_nothing_leaves_on_a_lease_that_expired_while_its_worker_was_frozen(database):
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
async def test_a_pause_reaches_all_workers_immediately(database):
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


async def test_other_workers_name_the_reason_of_a_pause(database):
    account = Account(database, 100.0)
    async with account.worker() as one, account.worker() as other:
        one.pause(60.0, "enough")
        asked = asyncio.create_task(other.acquire(lambda: True))
        await wait_until(lambda: other.paused)
        left_s, why = other.paused
        asked.cancel()
    assert 55 < left_s <= 60.1
    assert why == "the API asked another worker for fewer requests"
