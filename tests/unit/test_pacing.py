"""When requests leave, on a clock that stalls as a busy machine does.

Two steps share the promise. The schedule gives turns: it spaces them and bounds every tenth of
a second; after a stall it catches up, so it alone may let a tenth of a second's budget more than
the rate into a second. The exit (cxai/governor/local.py) counts what is really sent, after
connections have been opened: one window bounds each tenth of a second, the Throttler's account
the second.
"""

import heapq
import math
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.governor.pacing import EXIT_MARGIN, MARGIN, TENTH_S, Exit, Schedule, to_next_tick_s

ON_TIME = [0.0]

whole_rates = st.integers(1, 400).map(float)
fractions = st.floats(0.05, 400)
# Mostly a machine without delays, and sometimes one with them.
stalls = st.lists(
    st.just(0.0) | st.floats(0, 0.02) | st.floats(0, 0.3) | st.floats(0, 30),
    min_size=1,
    max_size=200,
)


class Door:
    """LocalLimiter's exit with asyncio-throttle's account, on a given time."""

    def __init__(self, rate, *, burst):
        self._exit = Exit(rate, burst=burst)
        self._limit = max(1, math.floor(rate))
        self._window_s = self._limit / rate * (1 + EXIT_MARGIN)
        self._log = deque()

    def send_slot(self, now, held_up_s=0.0):
        """Return when a request that is ready at `now` may leave; it is sent so much later."""
        while (wait_s := self._exit.wait_s(now)) > 0:
            now = max(math.nextafter(now, math.inf), now + wait_s)
        while len(self._log) >= self._limit and now - self._log[0] <= self._window_s:
            now += 0.001  # the account is asked again and again
        if len(self._log) == self._limit:
            self._log.popleft()
        self._log.append(now)
        self._exit.leave(now)
        if held_up_s:
            self._exit.sent(now + held_up_s)
        return now


def turns(schedule, late_s, start_s=1_000.0):
    """Return when requests get their turns if the machine wakes up late by `late_s`, in order."""
    now, given_at = start_s, []
    for late in late_s:
        while (wait_s := schedule.wait_s(now)) > 0:
            now = max(math.nextafter(now, math.inf), now + wait_s)
        now += late
        schedule.leave(now)
        given_at.append(now)
    return given_at


def sent(rate, late_s, connect_s=ON_TIME, *, burst=False):
    """Return when requests are sent that get their turns, connect, and pass the exit."""
    door, times = Door(rate, burst=burst), []
    ready = [
        turn + connect_s[number % len(connect_s)]
        for number, turn in enumerate(turns(Schedule(rate, burst=burst), late_s))
    ]
    heapq.heapify(ready)
    while ready:
        times.append(door.send_slot(max([heapq.heappop(ready), *times[-1:]])))
    return times


def most_within(times, window_s):
    """Return how many of `times` fall into the fullest window of that length, its end left out."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def achieved(times):
    return (len(times) - 1) / (times[-1] - times[0])


# --- the promises that hold on any machine ---


@pytest.mark.promise(
    "The machine stalls",
    "what was held up is not sent in a bunch: of a whole `--rate`, no second has more",
    group="Limit",
)
@given(whole_rates, stalls, stalls, st.booleans())
def test_no_second_holds_more_than_the_rate_whatever_stalls(rate, late_s, connect_s, burst):
    assert most_within(sent(rate, late_s, connect_s, burst=burst), 1.0) <= rate


@given(fractions, stalls, stalls, st.booleans())
def test_a_rate_in_fractions_holds_its_whole_requests_in_the_time_they_take(
    rate, late_s, connect_s, burst
):
    whole = max(1, math.floor(rate))
    assert most_within(sent(rate, late_s, connect_s, burst=burst), whole / rate) <= whole


@given(fractions, stalls)
def test_no_tenth_of_a_second_has_more_slots_than_its_budget_and_one(rate, late_s):
    times = turns(Schedule(rate), late_s)
    assert most_within(times, TENTH_S * (1 - 1e-9)) <= math.floor(rate * TENTH_S) + 1


@given(fractions, stalls, stalls)
def test_no_tenth_of_a_second_has_more_sent_however_connections_open(rate, late_s, connect_s):
    times = sent(rate, late_s, connect_s)
    assert most_within(times, TENTH_S * (1 - 1e-9)) <= math.floor(rate * TENTH_S) + 1


@given(fractions, stalls, stalls, st.booleans())
def test_delays_between_leaving_and_sending_bunch_no_requests(rate, late_s, held_up_s, burst):
    """A request may be sent immediately or at the end of the loop's turn: both are bounded."""
    door, now, earliest, latest = Door(rate, burst=burst), 1_000.0, [], []
    for number, late in enumerate(late_s):
        held_up = held_up_s[number % len(held_up_s)]
        earliest.append(door.send_slot(now + late, held_up))
        now = earliest[-1] + held_up
        latest.append(now)
    whole = max(1, math.floor(rate))
    first_of_next = zip(latest, earliest[whole:], strict=False)
    assert all(then - before >= whole / rate for before, then in first_of_next)
    if not burst:
        tenth = zip(latest, earliest[math.floor(rate * TENTH_S) + 1 :], strict=False)
        assert all(then - before >= TENTH_S for before, then in tenth)


@given(fractions, stalls, st.integers(1, 50))
def test_the_schedule_catches_up_on_at_most_a_tenth_of_a_second(rate, late_s, seconds):
    budget = (seconds + TENTH_S) * rate / (1 + MARGIN)
    assert most_within(turns(Schedule(rate), late_s), seconds) <= budget + 1


@given(fractions, stalls)
def test_a_burst_has_no_more_slots_than_a_window(rate, late_s):
    whole = max(1, math.floor(rate))
    assert most_within(turns(Schedule(rate, burst=True), late_s), whole / rate) <= whole


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.5, 50.0])
def test_a_burst_uses_up_a_window_immediately_and_waits_for_the_next(rate):
    whole = max(1, math.floor(rate))
    times = turns(Schedule(rate, burst=True), ON_TIME * 2 * whole)
    window_s = whole / rate * (1 + MARGIN)
    assert times == pytest.approx([1_000.0] * whole + [1_000.0 + window_s] * whole)


def test_the_exit_window_is_needed_when_the_schedule_catches_up():
    late_s = ON_TIME * 20 + [0.2] + ON_TIME * 200
    assert most_within(turns(Schedule(100.0), late_s), 1.0) > 100
    assert most_within(sent(100.0, late_s), 1.0) <= 100


def test_the_exit_window_is_needed_when_connections_open_together():
    slower_at_first = [max(0.0, 0.5 - turn / 100) for turn in range(150)]
    times = turns(Schedule(100.0), ON_TIME * 150)
    opened = sorted(turn + late for turn, late in zip(times, slower_at_first, strict=True))
    assert most_within(opened, 1.0) > 100
    assert most_within(sent(100.0, ON_TIME * 150, slower_at_first), 1.0) <= 100


# --- on a machine that is on time ---


@pytest.mark.parametrize("burst", [False, True])
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.5, 5.0, 10.0, 50.0, 333.3, 1_000.0])
def test_a_long_run_reaches_the_rate(rate, burst):
    in_whole_windows = 60 * max(1, math.floor(rate))
    times = sent(rate, ON_TIME * (in_whole_windows + 1), burst=burst)
    assert 0.995 * rate <= achieved(times) < rate


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0, 5.0, 50.0])
def test_requests_are_spaced_evenly_from_the_first_one_on(rate):
    gaps = [later - time for time, later in pairwise(sent(rate, ON_TIME * 100))]
    assert gaps == pytest.approx([(1 + MARGIN) / rate] * 99)


def test_half_a_request_per_second_is_one_every_two():
    times = sent(0.5, ON_TIME * 50)
    assert most_within(times, 2.0) == 1
    assert times[-1] - times[0] == pytest.approx(49 * 2.0, rel=0.005)


@pytest.mark.parametrize("burst", [False, True])
def test_the_first_request_leaves_immediately(burst):
    assert Schedule(0.001, burst=burst).wait_s(1_000.0) == 0.0


@pytest.mark.parametrize("burst", [False, True])
def test_a_request_on_time_never_waits_for_the_exit_window(burst):
    late_s = ON_TIME * 2_000
    assert sent(200.0, late_s, burst=burst) == turns(Schedule(200.0, burst=burst), late_s)


# --- on an event loop, whose timers have ticks ---


@given(st.floats(0, 1e6), st.floats(1e-6, 30))
def test_a_timer_of_whole_ticks_fires_within_a_tick_after_the_wait(now, wait_s):
    goes_off_s = (math.floor(now * 1_000) + round(to_next_tick_s(now, wait_s) * 1_000)) / 1_000
    assert now + wait_s - 1e-9 <= goes_off_s < now + wait_s + 0.001 + 1e-9


@pytest.mark.parametrize("rate", [10.0, 50.0, 200.0, 1_000.0])
def test_waiting_for_ticks_costs_no_rate_and_delays_no_slot(rate):
    """What is up to a tick late of its plan never waits for the bound, which would be exact."""
    schedule, now, given_at = Schedule(rate), 1_000.0, []
    while len(given_at) < 3_000:
        while (wait_s := schedule.wait_s(now)) > 0:
            assert schedule.bound_s(now) < wait_s
            now = (math.floor(now * 1_000) + round(to_next_tick_s(now, wait_s) * 1_000)) / 1_000
        schedule.leave(now)
        given_at.append(now)
    assert achieved(given_at) >= 0.9969 * rate


def test_a_stall_is_followed_by_a_wait_for_the_bound():
    schedule = Schedule(1_000.0)
    now = turns(schedule, ON_TIME * 500 + [0.05] + ON_TIME * 100)[-1]
    assert schedule.wait_s(now) == schedule.bound_s(now) > 0


# --- after a stall ---


@pytest.mark.parametrize(("stall_s", "lost_s"), [(0.05, 0.0), (0.1, 0.0), (0.2, 0.1), (60, 59.9)])
def test_the_schedule_catches_up_on_a_tenth_of_a_second(stall_s, lost_s):
    schedule = Schedule(100.0)
    times = turns(schedule, ON_TIME * 500 + [stall_s] + ON_TIME * 500)
    planned_s = 1_000 * schedule.interval_s
    assert times[-1] - times[0] == pytest.approx(planned_s + lost_s, abs=schedule.interval_s)


@pytest.mark.parametrize("stall_s", [0.05, 0.1, 0.2, 60.0])
def test_a_lone_stall_costs_no_more_than_its_own_time(stall_s):
    """A full second leaves no space to catch up: the exit window holds the request back."""
    times = sent(100.0, ON_TIME * 500 + [stall_s] + ON_TIME * 500)
    assert times[-1] - times[0] <= 1_000 * Schedule(100.0).interval_s + stall_s


@pytest.mark.parametrize(
    ("rate", "late_s"),
    [
        (100.0, [0.002, 0.006, 0.0, 0.004]),
        (100.0, ON_TIME * 9 + [0.03]),
        (1_000.0, ON_TIME * 99 + [0.02]),
        (1_000.0, [0.0003, 0.001, 0.0]),
    ],
)
def test_stalls_that_keep_coming_cost_no_rate(rate, late_s):
    assert achieved(sent(rate, late_s * (20_000 // len(late_s)))) >= 0.995 * rate
