"""The account's limits as the database keeps them, whatever single workers do."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import psycopg
import pytest
from support.account import Account

from cxai.cluster.limits import HORIZON_S, MARGIN, SLICE_S, AccountLimits

RATE = 100.0
STEP_S = (1 + MARGIN) / RATE
TTL_S = 60.0
MANY = 1_000


@pytest.fixture
def account(database):
    return Account(database, RATE, in_flight=10)


@asynccontextmanager
async def sessions(account, count=1, *, settled=True):
    """Yield the limits as so many workers see them; `settled` ones are connected for long."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            engine = account.engine()
            stack.push_async_callback(engine.close)
            if settled:
                await engine.rows("SELECT set_config('cxai.session_since', '0', false)")
            found.append(AccountLimits(engine.rows))
        yield found


def ticks_of(reserved):
    return [reserved.first_s + n * reserved.step_s for n in range(reserved.granted)]


async def renew(limits, worker, wanted=MANY, *, keep=(), beat=1, ttl_s=TTL_S):
    return await limits.renew_slots(worker, beat, keep, wanted, ttl_s=ttl_s, live_s=5.0)


# --- the rate ---


async def test_no_two_ticks_of_all_workers_are_closer_than_the_rate_allows(account):
    ticks = []
    async with sessions(account, 3) as workers:
        for _ in range(20):
            answers = await asyncio.gather(*(limits.reserve(2, 0.0) for limits in workers))
            ticks += [tick for answer in answers for tick in ticks_of(answer)]
    ticks.sort()
    assert len(ticks) > 20
    closest = min(later - earlier for earlier, later in pairwise(ticks))
    assert closest > STEP_S - 1e-5


async def test_no_tick_is_granted_far_ahead(account):
    async with sessions(account) as (limits,):
        answers = [await limits.reserve(MANY, 0.0) for _ in range(20)]
    for answer in answers:
        for tick in ticks_of(answer):
            assert tick < answer.now_s + HORIZON_S + SLICE_S + 1e-6
    refused = answers[-1]
    assert refused.granted == 0
    assert 0 < refused.wait_s <= STEP_S + SLICE_S


async def test_the_first_tick_is_later_than_the_answer(account):
    async with sessions(account) as (limits,):
        reserved = await limits.reserve(1, 0.1)
    assert reserved.first_s == pytest.approx(reserved.now_s + 0.1, abs=1e-5)
    assert not reserved.is_in_use


async def test_below_one_request_a_second_the_next_tick_is_one_interval_ahead(database):
    account = Account(database, 0.5)
    async with sessions(account, 2) as (one, other):
        first = await one.reserve(1, 0.0)
        second = await other.reserve(1, 0.0)
    assert (first.granted, second.granted) == (1, 0)
    next_s = second.now_s + HORIZON_S + second.wait_s
    assert next_s == pytest.approx(first.first_s + 2.0 * (1 + MARGIN), abs=1e-4)
    assert second.is_in_use


async def test_a_new_session_waits_for_requests_whose_reservation_a_crash_may_have_undone(account):
    async with sessions(account, settled=False) as (limits,):
        refused = await limits.reserve(1, 0.0)
    assert refused.granted == 0
    assert refused.wait_s == pytest.approx(SLICE_S + STEP_S, abs=1e-3)


async def test_a_crash_of_the_database_does_not_bring_a_slow_tick_forward(own_postgres):
    account = Account(own_postgres.new_database(), 0.5)
    async with sessions(account, settled=False) as (limits,):
        first = await limits.reserve(1, 0.0)
    own_postgres.restart()
    async with sessions(account, settled=False) as (limits,):
        second = await limits.reserve(1, 0.0)
    assert (first.granted, second.granted) == (1, 0)
    next_s = second.now_s + HORIZON_S + second.wait_s
    assert next_s == pytest.approx(first.first_s + 2.0 * (1 + MARGIN), abs=1e-4)


async def test_a_clock_that_is_set_back_stops_nothing(account):
    hour_ahead = "SELECT setval('last_tick', (extract(epoch FROM now()) + 3600)::bigint * 1000000)"
    account.execute(hour_ahead)
    async with sessions(account) as (limits,):
        refused = await limits.reserve(1, 0.0)
    assert refused.wait_s == pytest.approx(SLICE_S + STEP_S, abs=1e-3)


async def test_a_pause_holds_for_all_and_is_never_shortened(account):
    async with sessions(account, 2) as (one, other):
        await one.pause(60.0)
        await one.pause(1.0)
        refused = await other.reserve(1, 0.0)
    assert refused.granted == 0
    assert 59 < refused.paused_s <= 60


async def test_changed_limits_hold_from_the_next_reservation_on(account):
    async with sessions(account) as (limits,):
        await limits.reserve(1, 0.0)
        account.limit_to(10.0, 5)
        reserved = await limits.reserve(1, 0.0)
        held = await renew(limits, account.register())
    assert (reserved.rate_limit, reserved.rate_allowed) == (10.0, 10.0)
    assert reserved.step_s == pytest.approx((1 + MARGIN) / 10.0)
    assert (len(held.slots), held.total) == (5, 5)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_would_hang_or_never_hold_is_refused(account, rate):
    with pytest.raises(psycopg.errors.CheckViolation):
        account.limit_to(rate, 10)


# --- what was learned ---


async def test_what_was_learned_is_replaced_only_by_workers_that_have_read_it(account):
    async with sessions(account, 2) as (one, other):
        read = await one.learned()
        assert await one.adapt(read.revision, 50.0, [1.0, 2.0])
        assert not await other.adapt(read.revision, 25.0, [3.0])
        again = await other.learned()
        reserved = await other.reserve(1, 0.0)
    assert list(again.figures) == [1.0, 2.0]
    assert (reserved.rate_allowed, reserved.has_learned) == (50.0, True)


@pytest.mark.parametrize(
    ("rate", "allowed"), [(RATE, 50.0), (200.0, 200.0), (20.0, 20.0)], ids=["same", "more", "less"]
)
async def test_another_rate_discards_what_was_learned_and_the_same_one_does_not(
    account, rate, allowed
):
    async with sessions(account) as (limits,):
        await limits.adapt((await limits.learned()).revision, 50.0, [1.0])
        account.limit_to(rate, 10)
        reserved = await limits.reserve(1, 0.0)
    assert reserved.rate_allowed == allowed
    assert reserved.has_learned == (rate == RATE)


# --- in flight ---


async def shares(account, *wants):
    """Return how many slots each worker may use and holds, when all have said what they want."""
    workers = [account.register() for _ in wants]
    async with sessions(account) as (limits,):
        held = dict.fromkeys(workers, ())
        for beat in range(3):
            for worker, wanted in zip(workers, wants, strict=True):
                answer = await renew(limits, worker, wanted, keep=held[worker], beat=beat)
                held[worker] = answer.slots[: answer.may_use]
    return [len(held[worker]) for worker in workers]


@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        ((MANY,), [10]),
        ((3,), [3]),
        ((MANY, MANY, MANY), [4, 3, 3]),
        ((MANY, 1, MANY), [5, 1, 4]),
        ((2, MANY, 0), [2, 8, 0]),
    ],
)
async def test_slots_are_shared_by_what_workers_want(account, wants, expected):
    assert await shares(account, *wants) == expected


def test_with_more_workers_than_slots_each_gets_one_in_turn(account):
    workers = [account.register() for _ in range(15)]
    for worker in workers:
        wants = "INSERT INTO demand VALUES (%s, %s, 1, clock_timestamp())"
        account.execute(wants, worker, MANY)
    served = set()
    for turn in range(20):
        found = account.execute(
            "SELECT id FROM worker WHERE share(id, 10, 60, %s) = 1", f"minute {turn}"
        )
        assert len(found) == 10
        served.update(worker for (worker,) in found)
    assert served == set(workers)


async def test_twelve_workers_at_once_hold_distinct_slots(account):
    workers = [account.register() for _ in range(12)]
    async with sessions(account, 12) as all_limits:
        held = dict.fromkeys(workers, ())
        for beat in range(5):
            answers = await asyncio.gather(
                *(
                    renew(limits, worker, keep=held[worker], beat=beat)
                    for limits, worker in zip(all_limits, workers, strict=True)
                )
            )
            slots = [slot for answer in answers for slot in answer.slots]
            assert len(slots) == len(set(slots))
            held = {
                worker: answer.slots[: answer.may_use]
                for worker, answer in zip(workers, answers, strict=True)
            }
    assert len(account.holders()) == 10


async def test_a_slot_is_not_taken_by_others_before_its_lease_expires(account):
    dead, living = account.register(), account.register()
    async with sessions(account) as (limits,):
        await renew(limits, dead, ttl_s=TTL_S)
        account.execute("UPDATE demand SET seen = '-infinity' WHERE worker = %s", dead)
        assert (await renew(limits, living)).slots == []
        account.execute("UPDATE slot SET until = clock_timestamp() WHERE holder = %s", dead)
        assert len((await renew(limits, living, beat=2)).slots) == 10


async def test_a_worker_that_comes_back_late_gets_only_free_slots(account):
    frozen, other = account.register(), account.register()
    async with sessions(account) as (limits,):
        slots = (await renew(limits, frozen)).slots
        account.execute("UPDATE slot SET until = clock_timestamp() WHERE n < 6")
        await renew(limits, other, 6)
        assert (await renew(limits, frozen, keep=slots, beat=2)).slots == [5, 6, 7, 8, 9]


async def test_a_message_overtaken_by_a_later_one_changes_nothing(account):
    worker = account.register()
    async with sessions(account) as (limits,):
        slots = (await renew(limits, worker, beat=2)).slots
        assert await renew(limits, worker, 1, keep=slots[:1], beat=1) is None
        assert len(account.holders()) == 10


async def test_a_worker_that_was_declared_gone_gets_no_slots(account):
    worker = account.register()
    account.execute("UPDATE worker SET gone = true WHERE id = %s", worker)
    async with sessions(account) as (limits,):
        assert await renew(limits, worker) is None
    assert account.holders() == {}


async def test_a_released_slot_is_free_immediately(account):
    one, other = account.register(), account.register()
    async with sessions(account) as (limits,):
        slots = (await renew(limits, one)).slots
        await renew(limits, one, 2, keep=slots[:2], beat=2)
        assert len((await renew(limits, other)).slots) == 8
        await limits.give_slots_back(one)
        assert len((await renew(limits, other, keep=slots[2:], beat=2)).slots) == 10


async def test_a_lowered_limit_applies_as_requests_end(account):
    worker = account.register()
    async with sessions(account) as (limits,):
        slots = (await renew(limits, worker)).slots
        account.limit_to(RATE, 4)
        lowered = await renew(limits, worker, keep=slots[:7], beat=2)  # 7 are in flight
        assert (lowered.slots, lowered.may_use) == (slots[:7], 4)
        account.limit_to(RATE, 10)
        assert len((await renew(limits, account.register())).slots) == 3


async def test_slots_above_a_lowered_limit_count_until_they_are_released(account):
    low, silent = account.register(), account.register()
    async with sessions(account) as (limits,):
        assert (await renew(limits, low, 5)).slots == [0, 1, 2, 3, 4]
        assert (await renew(limits, silent, 5)).slots == [5, 6, 7, 8, 9]
        account.limit_to(RATE, 3)
        await renew(limits, silent, 1, keep=[9], beat=2)  # it has a request under way
        account.execute("UPDATE demand SET seen = '-infinity' WHERE worker = %s", silent)
        assert (await renew(limits, low, keep=[0], beat=2)).slots == [0, 1]
        await limits.give_slots_back(silent)
        assert (await renew(limits, low, keep=[0, 1], beat=3)).slots == [0, 1, 2]


async def test_concurrent_workers_keep_a_lowered_limit(account):
    workers = [account.register() for _ in range(5)]
    silent, *others = workers
    async with sessions(account, 5) as (first, *rest):
        slots = (await renew(first, silent)).slots
        account.limit_to(RATE, 4)
        await renew(first, silent, 3, keep=slots[-3:], beat=2)
        account.execute("UPDATE demand SET seen = '-infinity' WHERE worker = %s", silent)
        answers = await asyncio.gather(
            *(renew(limits, other) for limits, other in zip(rest, others, strict=True))
        )
        assert sum(len(answer.slots) for answer in answers) == 1
