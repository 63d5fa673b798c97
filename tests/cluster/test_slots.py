"""Slots for requests in flight, which workers of one account share."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from support.account import Account, TimedApi
from support.account_workers import at_work, more_than
from support.waiting import wait_until

pytestmark = pytest.mark.long(5)


async def test_a_single_worker_may_use_all_slots_and_later_shares_them(database):
    account, api = Account(database, 500.0, in_flight=6), TimedApi(latency_s=0.1)
    async with at_work(account, api) as (one,):
        await wait_until(lambda: one.slots.usable == 6, "all slots")
        async with at_work(account, api) as (other,):
            await wait_until(lambda: one.slots.usable == other.slots.usable == 3, "a fair share")
        await wait_until(lambda: one.slots.usable == 6, "what the other one has given back")
    assert api.most <= 6


async def test_slots_of_requests_in_flight_are_kept_when_the_share_shrinks(database):
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
async def test_a_slot_is_returned_exactly_when_its_request_ends_in_any_way(database, how):
    async with Account(database, 500.0).worker() as limiter:

        async def end():
            async with limiter.slots.one():
                assert limiter.slots.in_flight == 1
                raise how

        with pytest.raises(how):
            await end()
        assert limiter.slots.in_flight == 0


async def test_slots_that_will_be_free_soon_are_estimated_from_durations(database):
    async with Account(database, 500.0, in_flight=4).worker() as limiter:
        slots = limiter.slots
        async with slots.one():
            await asyncio.sleep(0.05)
        async with slots.one(), slots.one(), slots.one():
            await wait_until(lambda: slots.can_start() and slots.free == 1, "the fourth slot")
            assert slots.free_within(0.0) == 1
            assert slots.free_within(60.0) == 4


async def test_a_worker_without_a_slot_shows_that_and_gets_one_when_another_ends(database):
    account, api = Account(database, 500.0, in_flight=1), TimedApi()
    async with at_work(account, api) as (one,):
        await wait_until(lambda: one.slots.usable == 1 and one.waits_for == "")
        async with at_work(account, api) as (other,):
            words = "a slot: other workers hold all of them (1)"
            await wait_until(lambda: words in {one.waits_for, other.waits_for}, words)
        await wait_until(lambda: one.slots.usable == 1)
    assert api.most <= 1


async def test_a_worker_that_ends_returns_its_slots(database):
    account, api = Account(database, 500.0), TimedApi()
    async with at_work(account, api):
        await wait_until(more_than(api, 0))
        assert account.holders()
    assert account.holders() == {}
