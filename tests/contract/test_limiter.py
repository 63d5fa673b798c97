"""What every limiter promises: local and shared ones on real time, their double on virtual time.

What only LocalLimiter promises, its rate, is checked by the times when requests left, never by
how long it took: a busy machine is late, but it is never early. The rate of workers that share an
account is that of tests/cluster/test_limiter.py.
"""

import asyncio
import math
import time

import pytest
from support.account import Account
from support.defaults import rate_settings
from support.doubles import FreeLimiter
from support.virtual import START_S, VirtualClock, quiet, run_virtually, virtually

from cxai.clock import SystemClock
from cxai.governor.local import LocalLimiter
from cxai.policy.table import Signal

FAST = 500.0
PAUSE_S = 0.05
ROUNDING_S = 1e-9  # times are large, differences of them small


@pytest.fixture(params=["local", "local-burst", "shared", "double"])
def limited(request):
    """Return what runs `play(limiter, clock)` with a limiter, on the time that suits it."""

    async def play_shared(play, database):
        clock = SystemClock()
        async with Account(database, FAST).worker(clock) as limiter:
            return await play(limiter, clock)

    def run(play):
        async def start(make_limiter, clock):
            return await play(make_limiter(clock), clock)

        match request.param:
            case "double":
                return run_virtually(start(FreeLimiter, VirtualClock()))
            case "shared":
                return asyncio.run(play_shared(play, request.getfixturevalue("database")))
            case kind:
                burst = kind.endswith("burst")
                return asyncio.run(
                    start(
                        lambda clock: LocalLimiter(rate_settings(FAST, burst), clock),
                        SystemClock(),
                    )
                )

    return run


async def acquire(limiter):
    assert await limiter.acquire(lambda: True)


async def in_turn(limiter, clock, times, count):
    """Let so many requests leave, one behind the other."""
    for _ in range(count):
        await leave(limiter, clock, times)


async def leave(limiter, clock, times):
    await acquire(limiter)
    times.append(clock.monotonic())


# --- what all promise ---


def test_no_request_leaves_during_a_pause(limited):
    async def play(limiter, clock):
        times = []
        await acquire(limiter)
        paused_at = clock.monotonic()
        limiter.pause(PAUSE_S, "enough")
        await in_turn(limiter, clock, times, 10)
        return [time - paused_at for time in times]

    assert min(limited(play)) >= PAUSE_S - ROUNDING_S


def test_a_pause_also_holds_a_request_that_already_waits(limited):
    async def play(limiter, clock):
        limiter.pause(PAUSE_S, "enough")
        times = []
        waiting = asyncio.create_task(leave(limiter, clock, times))
        await asyncio.sleep(PAUSE_S / 2)
        paused_at = clock.monotonic()
        limiter.pause(2 * PAUSE_S, "more than enough")
        await waiting
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
        await in_turn(limiter, clock, times, 10)
        return times

    assert len(limited(play)) == 10


def test_a_cancelled_wait_uses_no_slot(limited):
    async def play(limiter, clock):
        times = []
        limiter.pause(PAUSE_S, "once")
        waiting = asyncio.create_task(leave(limiter, clock, times))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await leave(limiter, clock, times)
        return [waiting.cancelled(), len(times)]

    assert limited(play) == [True, 1]


def test_a_request_that_is_no_longer_wanted_does_not_leave(limited):
    async def play(limiter, _clock):
        wanted = True
        limiter.pause(600.0, "long")
        waiting = asyncio.create_task(limiter.acquire(lambda: wanted))
        await asyncio.sleep(0)
        wanted = False
        limiter.learn(Signal.FAILED, 0.0)  # with each reply it looks again
        return await waiting, await limiter.acquire(lambda: False)

    assert limited(play) == (False, False)


def test_no_reply_to_a_single_request_blocks_the_others(limited):
    async def play(limiter, clock):
        times = []
        for signal in Signal:
            await leave(limiter, clock, times)
            limiter.learn(signal, times[-1])
        limiter.note_overload(times[-1])
        limiter.restore()
        limiter.learn_answers(times)
        await leave(limiter, clock, times)
        return len(times)

    assert limited(play) == len(Signal) + 1


# --- the rate of the local one ---


def most_within(times, window_s):
    return max(sum(1 for time in times if start <= time < start + window_s) for start in times)


async def send(limiter, clock, count):
    """Return when `count` requests that are ready together are sent."""
    times = []
    turn = asyncio.Lock()

    async def one():
        async with turn:
            await acquire(limiter)
        await limiter.send_slot()
        times.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
    return times


async def test_no_tenth_of_a_second_holds_more_than_its_budget_and_one():
    clock = SystemClock()
    times = await send(LocalLimiter(rate_settings(FAST), clock), clock, 100)
    assert len(times) == 100
    assert most_within(times, 0.0999) <= FAST / 10 + 1


@pytest.mark.parametrize("burst", [False, True])
async def test_no_window_holds_more_than_its_budget(burst):
    clock = SystemClock()
    times = await send(LocalLimiter(rate_settings(2.9, burst), clock), clock, 4)
    assert most_within(times, 2 / 2.9) <= 2


async def test_requests_whose_connections_open_together_are_not_sent_together():
    clock = SystemClock()
    limiter = LocalLimiter(rate_settings(2.9), clock)
    opened = asyncio.Event()
    times = []

    async def one():
        await opened.wait()
        await limiter.send_slot()
        times.append(clock.monotonic())

    waiting = [asyncio.create_task(one()) for _ in range(3)]
    opened.set()
    await asyncio.gather(*waiting)
    assert most_within(times, 2 / 2.9) <= 2


async def test_a_stalled_loop_does_not_bunch_requests():
    clock = SystemClock()
    limiter = LocalLimiter(rate_settings(100.0), clock)
    times = []
    requests = asyncio.create_task(in_turn(limiter, clock, times, 30))
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - this is the stall
    await requests
    assert most_within(times, 0.0999) <= 11


@virtually
async def test_a_request_that_is_delayed_on_its_way_out_counts_when_it_is_sent():
    class Stalling(VirtualClock):
        """A clock that advances by half a second within a turn of the loop."""

        stall_s = 0.0

        def monotonic(self):
            return super().monotonic() + self.stall_s

    clock = Stalling()
    limiter = LocalLimiter(rate_settings(20.0), clock)
    for _ in range(3):  # a tenth of a second's budget, and one
        await limiter.send_slot()
    clock.stall_s = 0.5
    await asyncio.sleep(0)
    begun = clock.monotonic()
    await limiter.send_slot()
    assert clock.monotonic() - begun >= 0.1


@virtually
async def test_a_burst_uses_all_of_its_slots_immediately():
    clock = VirtualClock()
    limiter = LocalLimiter(rate_settings(20.0, burst=True), clock)
    times = []
    for _ in range(20):
        await leave(limiter, clock, times)
    assert set(times) == {START_S}


@pytest.mark.parametrize(("burst", "third_s"), [(False, 0.692), (True, 2 / 2.9 * 1.003)])
@virtually
async def test_requests_leave_on_whole_ticks_of_the_clock_and_a_burst_as_soon_as_possible(
    burst, third_s
):
    clock = VirtualClock()
    limiter = LocalLimiter(rate_settings(2.9, burst), clock)
    times = []
    await in_turn(limiter, clock, times, 3)
    assert times[2] - START_S == pytest.approx(third_s, abs=1e-6)


@virtually
async def test_below_one_per_second_one_request_leaves_per_interval():
    clock = VirtualClock()
    limiter = LocalLimiter(rate_settings(0.5), clock)
    times = []
    for _ in range(10):
        await leave(limiter, clock, times)
    assert most_within(times, 2.0) == 1
    assert times[-1] - START_S == pytest.approx(9 * 2.0, rel=0.005)


async def test_below_one_per_second_one_request_is_sent_per_interval():
    limiter = LocalLimiter(rate_settings(0.5), SystemClock())
    await limiter.send_slot()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.1):
            await limiter.send_slot()


@virtually
async def test_a_pause_that_begins_between_two_bursts_holds_what_waits_for_the_next():
    clock = VirtualClock()
    limiter = LocalLimiter(rate_settings(20.0, burst=True), clock)
    times = []
    waiting = asyncio.create_task(in_turn(limiter, clock, times, 21))
    await quiet()
    limiter.pause(60.0, "the API asked for fewer requests")
    await waiting
    assert times[-1] - START_S >= 60.0


@virtually
async def test_a_pause_has_its_remaining_time_and_its_reason():
    limiter = LocalLimiter(rate_settings(FAST), VirtualClock())
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
        LocalLimiter(rate_settings(rate), SystemClock())


# --- how the local one adapts ---


@virtually
async def adapted(*signals, overloads=0, ceilings=rate_settings(10.0)):  # noqa: B008 - frozen
    """Return a limiter after these signals, each of a request that left later than the last."""
    clock = VirtualClock()
    limiter = LocalLimiter(ceilings, clock)
    times = []
    for signal in signals:
        await leave(limiter, clock, times)
        await asyncio.sleep(1.0)
        limiter.learn(signal, times[-1])
    for _ in range(overloads):
        await asyncio.sleep(1.0)
        limiter.note_overload(clock.monotonic())
    return limiter


def test_a_refusal_halves_the_rate():
    assert adapted(Signal.THROTTLED).rate == 5.0
    assert adapted(*[Signal.THROTTLED] * 4).rate == 2.5


@pytest.mark.parametrize("signal", [Signal.ANSWERED, Signal.FAILED, Signal.TOKEN_REFUSED])
def test_no_other_signal_changes_the_rate(signal):
    assert adapted(signal).rate == 10.0


def test_without_adaptive_the_rate_stays_at_its_ceiling():
    fixed = rate_settings(10.0, adaptive=False)
    assert adapted(Signal.THROTTLED, overloads=20, ceilings=fixed).rate == 10.0


def test_only_many_overloads_count_as_a_limit():
    assert adapted(overloads=4).rate == 10.0
    assert adapted(overloads=5).rate == 5.0
    assert adapted(*[Signal.ANSWERED] * 3, overloads=4).rate == 10.0


def test_a_rate_that_was_lowered_for_single_ids_is_restored():
    limiter = adapted(Signal.ANSWERED, Signal.THROTTLED)
    assert limiter.rate == 5.0
    limiter.restore()
    assert limiter.rate == 10.0


@virtually
async def test_learning_answers_together_equals_learning_them_one_by_one():
    clock = VirtualClock()
    together, apart = both = [LocalLimiter(rate_settings(10.0), clock) for _ in range(2)]
    rates, left_s = set(), []
    for second in range(120):
        for _ in range(3):  # so many that they have to wait: the rate is in use
            await asyncio.gather(*map(acquire, both))
            left_s.append(clock.monotonic())
        if second in {1, 20, 21, 22}:
            for limiter in both:
                limiter.learn(Signal.THROTTLED, left_s[-1])
                limiter.note_overload(left_s[-1])
        elif second % 3:
            together.learn_answers(left_s)
            for left in left_s:
                apart.learn(Signal.ANSWERED, left)
            left_s = left_s[-1:]
        assert together.rate == apart.rate
        rates.add(together.rate)
    assert len(rates) > 20
