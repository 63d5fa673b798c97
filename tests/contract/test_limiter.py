"""What every limiter promises: LocalLimiter on real time, its double on virtual time.

What only LocalLimiter promises, its rate, is told from the times when requests left, never from
how long it took: a busy machine is late, but it is never early.
"""

import asyncio
import math
import time

import pytest
from support.doubles import FreeLimiter
from support.virtual import START_S, VirtualClock, quiet, run_virtually, virtually

from cxai.clock import SystemClock
from cxai.governor.breaker import BreakerRules
from cxai.governor.local import Ceilings, LocalLimiter
from cxai.policy.policy import Effect

FAST = 500.0
PAUSE_S = 0.05
ROUNDING_S = 1e-9  # times are large, differences of them small

MANY = 1_000  # requests at a time: more than any test has


@pytest.fixture(params=["local", "local-burst", "double"])
def limited(request):
    """Return what runs `play(limiter, clock)` with a limiter, on the time that suits it."""

    def run(play):
        async def start(make_limiter, clock):
            return await play(make_limiter(clock), clock)

        match request.param:
            case "double":
                return run_virtually(start(FreeLimiter, VirtualClock()))
            case kind:
                burst = kind.endswith("burst")
                return asyncio.run(
                    start(
                        lambda clock: LocalLimiter(Ceilings(FAST, MANY, burst), clock),
                        SystemClock(),
                    )
                )

    return run


async def leave(limiter, clock, times):
    await limiter.acquire()
    times.append(clock.monotonic())


# --- what all promise ---


def test_who_comes_first_leaves_first(limited):
    async def play(limiter, _clock):
        left = []

        async def request(number):
            await limiter.acquire()
            left.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(request(number))
        return left

    assert limited(play) == list(range(50))


def test_a_pause_holds_everyone_back(limited):
    async def play(limiter, clock):
        times = []
        await limiter.acquire()
        paused_at = clock.monotonic()
        limiter.pause(PAUSE_S, "enough")
        await asyncio.gather(*(leave(limiter, clock, times) for _ in range(10)))
        return [time - paused_at for time in times]

    assert min(limited(play)) >= PAUSE_S - ROUNDING_S


def test_a_pause_holds_those_who_wait_already(limited):
    async def play(limiter, clock):
        limiter.pause(PAUSE_S, "enough")
        times = []
        waiting = [asyncio.create_task(leave(limiter, clock, times)) for _ in range(10)]
        await asyncio.sleep(PAUSE_S / 2)
        paused_at = clock.monotonic()
        limiter.pause(2 * PAUSE_S, "more than enough")
        await asyncio.gather(*waiting)
        return [time - paused_at for time in times]

    assert min(limited(play)) >= 2 * PAUSE_S - ROUNDING_S


def test_a_pause_is_never_shortened(limited):
    async def play(limiter, clock):
        times = []
        paused_at = clock.monotonic()
        limiter.pause(PAUSE_S, "long")
        limiter.pause(0.0, "short")
        limiter.pause(PAUSE_S / 10, "shorter")
        await leave(limiter, clock, times)
        return times[0] - paused_at

    assert limited(play) >= PAUSE_S - ROUNDING_S


def test_after_a_pause_requests_leave_again(limited):
    async def play(limiter, clock):
        times = []
        limiter.pause(PAUSE_S, "once")
        for _ in range(10):
            await leave(limiter, clock, times)
        return times

    assert len(limited(play)) == 10


def test_who_gives_up_waiting_holds_nobody_back(limited):
    async def play(limiter, clock):
        times = []
        limiter.pause(PAUSE_S, "once")
        first, second, third = (asyncio.create_task(leave(limiter, clock, times)) for _ in range(3))
        await asyncio.sleep(0)  # the first holds the head of the queue, the second waits behind
        first.cancel()
        second.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        return [first.cancelled(), second.cancelled(), len(times)]

    assert limited(play) == [True, True, 1]


def test_whatever_is_learned_of_single_requests_lets_others_leave(limited):
    async def play(limiter, clock):
        times = []
        for effect in Effect:
            await leave(limiter, clock, times)
            limiter.release()
            limiter.learn(effect, effect.name, times[-1])
        await leave(limiter, clock, times)
        return len(times), limiter.outage

    assert limited(play) == (len(Effect) + 1, False)


def test_a_place_that_was_given_back_is_taken_again(limited):
    async def play(limiter, clock):
        times = []
        for _ in range(50):
            await leave(limiter, clock, times)
            limiter.release()
        return len(times)

    assert limited(play) == 50


# --- the rate of the local one ---


def most_within(times, window_s):
    return max(sum(1 for time in times if start <= time < start + window_s) for start in times)


async def send(limiter, clock, count):
    """Return when `count` requests, all there at once, are sent."""
    times = []

    async def one():
        await limiter.acquire()
        await limiter.depart()
        times.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
    return times


async def test_no_tenth_of_a_second_holds_more_than_its_budget_and_one():
    clock = SystemClock()
    times = await send(LocalLimiter(Ceilings(FAST, MANY), clock), clock, 100)
    assert len(times) == 100
    assert most_within(times, 0.0999) <= FAST / 10 + 1


@pytest.mark.parametrize("burst", [False, True])
async def test_no_window_holds_more_than_its_budget(burst):
    clock = SystemClock()
    times = await send(LocalLimiter(Ceilings(2.9, MANY, burst), clock), clock, 4)
    assert most_within(times, 2 / 2.9) <= 2


async def test_requests_whose_connections_open_together_are_not_sent_together():
    clock = SystemClock()
    limiter = LocalLimiter(Ceilings(2.9, MANY), clock)
    opened = asyncio.Event()
    times = []

    async def one():
        await opened.wait()
        await limiter.depart()
        times.append(clock.monotonic())

    waiting = [asyncio.create_task(one()) for _ in range(3)]
    opened.set()
    await asyncio.gather(*waiting)
    assert most_within(times, 2 / 2.9) <= 2


async def test_a_stalled_loop_does_not_bunch_requests():
    clock = SystemClock()
    limiter = LocalLimiter(Ceilings(100.0, MANY), clock)
    times = []
    requests = [asyncio.create_task(leave(limiter, clock, times)) for _ in range(30)]
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - this is the stall
    await asyncio.gather(*requests)
    assert most_within(times, 0.0999) <= 11


@virtually
async def test_a_burst_has_all_of_its_turns_at_once():
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(20.0, MANY, burst=True), clock)
    times = []
    for _ in range(20):
        await leave(limiter, clock, times)
    assert set(times) == {START_S}


@virtually
async def test_below_one_a_second_there_is_one_turn_in_the_time_that_it_takes():
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(0.5, MANY), clock)
    times = []
    for _ in range(10):
        await leave(limiter, clock, times)
    assert most_within(times, 2.0) == 1
    assert times[-1] - START_S == pytest.approx(9 * 2.0, rel=0.005)


async def test_below_one_a_second_the_account_admits_one_in_the_time_that_it_takes():
    limiter = LocalLimiter(Ceilings(0.5, MANY), SystemClock())
    await limiter.depart()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.1):
            await limiter.depart()


@virtually
async def test_a_pause_that_begins_between_two_bursts_holds_those_who_wait_for_the_next():
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(20.0, MANY, burst=True), clock)
    times = []
    waiting = [asyncio.create_task(leave(limiter, clock, times)) for _ in range(21)]
    await quiet()
    limiter.pause(60.0, "the API asked for fewer requests")
    await asyncio.gather(*waiting)
    assert times[-1] - START_S >= 60.0


@virtually
async def test_a_pause_tells_how_long_it_lasts_and_why():
    limiter = LocalLimiter(Ceilings(FAST, MANY), VirtualClock())
    assert limiter.paused is None
    limiter.pause(10.0, "throttled")
    limiter.pause(5.0, "throttled again")
    await asyncio.sleep(4.0)
    assert limiter.paused == (6.0, "throttled")
    await asyncio.sleep(6.0)
    assert limiter.paused is None


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_rate_that_would_hang_or_never_hold_is_refused(rate):
    with pytest.raises(ValueError, match="rate must be above 0 and finite"):
        LocalLimiter(Ceilings(rate, MANY), SystemClock())


# --- how the local one adapts ---

NO_RATE = 1_000_000.0


async def fill(limiter, count):
    """Return the tasks of so many requests; who finds no place waits."""
    tasks = [asyncio.create_task(limiter.acquire()) for _ in range(count)]
    await quiet()
    return tasks


@virtually
async def test_no_more_are_under_way_than_its_places():
    limiter = LocalLimiter(Ceilings(NO_RATE, 3), VirtualClock())
    tasks = await fill(limiter, 5)
    await asyncio.sleep(60.0)
    assert [task.done() for task in tasks] == [True] * 3 + [False] * 2
    limiter.release()
    await asyncio.sleep(0.1)
    assert [task.done() for task in tasks] == [True] * 4 + [False]
    limiter.release()
    await tasks[-1]


@pytest.mark.parametrize("effect", [Effect.REFUSED, Effect.OVERLOADED])
@virtually
async def test_a_refusal_halves_the_rate_where_only_the_rate_was_in_use(effect):
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(10.0, MANY), clock)
    times = []
    for _ in range(20):
        await leave(limiter, clock, times)
    limiter.learn(effect, "a", times[-1])
    assert (limiter.rate, limiter.most_in_flight) == (5.0, MANY)


@pytest.mark.parametrize("latency_s", [0.5, 30.0])
@virtually
async def test_a_refusal_halves_the_places_where_only_the_places_were_in_use(latency_s):
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(2.0, 4), clock)
    left_s = clock.monotonic()
    tasks = []
    for _ in range(4):  # with time between, so that nobody waits for the rate
        await limiter.acquire()
        await asyncio.sleep(1.0)
    tasks = await fill(limiter, 1)
    await asyncio.sleep(latency_s)
    limiter.release()
    limiter.learn(Effect.REFUSED, "a", left_s)
    assert (limiter.rate, limiter.most_in_flight) == (2.0, 2)
    await asyncio.sleep(1.0)
    assert not tasks[0].done()
    limiter.release()
    limiter.release()
    await tasks[0]


@virtually
async def test_a_refusal_halves_both_where_nobody_can_tell():
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(10.0, 8), clock)
    await limiter.acquire()
    limiter.learn(Effect.REFUSED, "a", clock.monotonic())
    assert (limiter.rate, limiter.most_in_flight) == (5.0, 4)


@virtually
async def test_without_adapting_it_stays_at_its_ceilings():
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(10.0, 8, adaptive=False), clock)
    await limiter.acquire()
    limiter.learn(Effect.REFUSED, "a", clock.monotonic())
    assert (limiter.rate, limiter.most_in_flight) == (10.0, 8)


@virtually
async def test_during_an_outage_one_probe_leaves_at_a_time_and_the_first_answer_lets_all_go():
    clock = VirtualClock()
    limiter = LocalLimiter(Ceilings(NO_RATE, MANY), clock, BreakerRules(threshold=2))
    assert (limiter.outage, limiter.outage_s) == (False, None)
    for key in ("a", "b"):
        await limiter.acquire()
        limiter.release()
        limiter.learn(Effect.FAILED, key, clock.monotonic())
    waiting = await fill(limiter, 5)
    assert limiter.outage
    assert not any(task.done() for task in waiting)
    await asyncio.sleep(600.0)
    assert limiter.outage_s == pytest.approx(600.0)
    assert sum(task.done() for task in waiting) == 1
    limiter.release()
    limiter.learn(Effect.ANSWERED, "c", clock.monotonic())
    await asyncio.gather(*waiting)
    assert (limiter.outage, limiter.rate, limiter.most_in_flight) == (False, NO_RATE, MANY)
