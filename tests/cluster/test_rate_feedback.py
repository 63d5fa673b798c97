"""What one worker learns about the rate from refusals holds for all of its account."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from support.account import Account
from support.account_workers import acquire
from support.waiting import wait_until

from cxai.clock import SystemClock
from cxai.cluster.engine_clock import EngineClock
from cxai.cluster.limits import AccountLimits
from cxai.cluster.rate_feedback import RateFeedback
from cxai.policy.table import Signal

pytestmark = pytest.mark.long(2)


async def test_two_workers_that_are_refused_together_halve_the_rate_once(database):
    account = Account(database, 100.0)
    async with account.worker() as one, account.worker() as other:
        await asyncio.gather(acquire(one), acquire(other))
        left_s = SystemClock().monotonic()
        await asyncio.sleep(0.05)
        for limiter in (one, other):
            limiter.learn(Signal.THROTTLED, left_s)
        await wait_until(lambda: one.rate == other.rate == 50.0)
    assert account.execute("SELECT rate_now FROM governor") == [(50.0,)]


async def test_without_adaptation_a_refusal_changes_nothing(database):
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


async def test_the_rate_recovers_with_time_and_the_answers_of_all_not_with_their_number(database):
    account = Account(database, 100.0)
    async with learners(account, 2) as (one, other):
        assert await one.learn(Signal.THROTTLED) == 50.0
        other.feedback.is_needed = True
        other.now = one.now
        half_way = await other.learn(Signal.ANSWERED)
        assert 50.0 < half_way < 95.0
        assert await one.learn(Signal.ANSWERED) == pytest.approx(half_way, abs=0.5)
        assert await one.learn(Signal.ANSWERED) == pytest.approx(95.0, abs=0.5)


async def test_a_rate_that_was_lowered_for_single_ids_is_restored_for_all(database):
    account = Account(database, 100.0)
    async with learners(account, 1) as (one,):
        assert await one.learn(Signal.THROTTLED) == 50.0
        assert await one.learn(None) == 100.0


async def test_answers_cost_no_round_trip_while_the_rate_is_not_lowered(database):
    account = Account(database, 100.0)
    async with learners(account, 1) as (one,):
        assert await one.learn(Signal.ANSWERED) is None
