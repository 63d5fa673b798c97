"""How well the engine's clock is known, from answers that take their time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.cluster.engine_clock import EngineClock

HOURS = 3 * 3_600.0
TRIP_S = 0.030


def test_one_answer_gives_it_within_half_a_round_trip():
    clock = EngineClock()
    clock.learn(100.0, 100.0 + TRIP_S, 100.0 + HOURS)
    assert clock.to_engine(100.0) == pytest.approx(100.0 + HOURS, abs=TRIP_S / 2)
    assert clock.to_monotonic(100.0 + HOURS) == pytest.approx(100.0, abs=TRIP_S / 2)


@given(st.lists(st.tuples(st.floats(0.0005, 0.5), st.floats(0.0005, 0.5)), min_size=1))
def test_it_is_known_as_well_as_the_quickest_answer_allows(ways):
    clock, now = EngineClock(), 100.0
    for there, back in ways:
        clock.learn(now, now + there + back, now + there + HOURS)
        now += there + back
    quickest = min(there + back for there, back in ways)
    drift = 5e-4 * (now - 100.0)
    assert clock.to_engine(now) == pytest.approx(now + HOURS, abs=quickest / 2 + drift + 1e-9)


def test_slow_answers_do_not_spoil_what_a_quick_one_has_told():
    clock = EngineClock()
    clock.learn(100.0, 100.001, 100.0005 + HOURS)
    clock.learn(101.0, 102.0, 101.9 + HOURS)
    assert clock.to_engine(102.0) == pytest.approx(102.0 + HOURS, abs=0.002)


@pytest.mark.parametrize("step_s", [HOURS, -HOURS, 1.0])
def test_a_clock_that_was_set_is_believed_at_once(step_s):
    clock = EngineClock()
    clock.learn(100.0, 100.001, 100.0)
    clock.learn(110.0, 110.001, 110.0 + step_s)
    assert clock.to_engine(110.0) == pytest.approx(110.0 + step_s, abs=0.001)
