"""The arithmetic of the adaptive limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.governor.aimd import Aimd

FLOOR, CEILING = 1.0, 100.0
LATENCY_S = 0.2


def refuse(limit, now):
    return limit.refuse(now - LATENCY_S, now)


def used_for(limit, start, seconds, step=0.5):
    for n in range(1, int(seconds / step) + 1):
        limit.grow(start + n * step, in_use=True)
    return limit.value


def test_it_begins_at_its_ceiling():
    assert Aimd(FLOOR, CEILING).value == CEILING


def test_a_refusal_halves_it():
    limit = Aimd(FLOOR, CEILING)
    assert refuse(limit, 10.0)
    assert limit.value == 50.0


def test_all_cuts_but_one_since_the_last_answer_are_undone():
    limit = Aimd(FLOOR, CEILING)
    for second in range(10):
        refuse(limit, 10.0 + second)
    limit.take_back(CEILING)
    assert limit.value == 50.0
    assert used_for(limit, 19.0, 2.0) == pytest.approx(95.0)
    limit.take_back(CEILING)
    assert limit.value == pytest.approx(95.0)  # that was one cut


def test_requests_that_left_before_a_cut_was_felt_do_not_cut_again():
    limit = Aimd(FLOOR, CEILING)
    limit.refuse(10.0, 10.5)
    assert not limit.refuse(10.25, 10.75)
    assert not limit.refuse(11.0, 11.5)  # half a second after the cut: one round trip
    assert limit.value == 50.0
    assert limit.refuse(11.25, 11.75)
    assert limit.value == 25.0


def test_it_never_falls_below_its_floor():
    limit = Aimd(FLOOR, CEILING)
    for second in range(100):
        refuse(limit, 10.0 + second)
    assert limit.value == FLOOR


def test_within_two_seconds_it_recovers_to_just_below_the_refused_value():
    limit = Aimd(FLOOR, CEILING)
    refuse(limit, 10.0)
    assert 50.0 < used_for(limit, 10.0, 1.0) < 95.0
    assert 95.0 <= used_for(limit, 11.0, 1.0) < 95.1


def test_it_reaches_the_refused_value_after_a_minute_and_then_keeps_doubling():
    limit = Aimd(
        FLOOR,
        1_000.0,
    )
    refuse(limit, 0.0)
    refuse(limit, 10.0)  # refused at 500
    assert used_for(limit, 10.0, 52.0) < 500.0
    assert 500.0 <= used_for(limit, 62.0, 12.0) < 600.0
    assert 900.0 < used_for(limit, 74.0, 59.0) <= 1_000.0


def test_time_in_which_it_is_not_in_use_does_not_count():
    limit = Aimd(FLOOR, CEILING)
    refuse(limit, 10.0)
    limit.grow(1_000.0, in_use=False)
    assert limit.value == 50.0
    limit.grow(1_000.0, in_use=True)
    assert limit.value == 50.0


def test_of_a_long_gap_only_ten_seconds_count():
    limit = Aimd(FLOOR, CEILING)
    refuse(limit, 10.0)
    limit.grow(12.0, in_use=True)
    limit.grow(100_000.0, in_use=True)
    assert 95.0 <= limit.value < 96.0


def test_it_recovers_from_its_floor_to_its_ceiling_soon_after_a_bad_night():
    limit = Aimd(0.1, CEILING)
    for second in range(0, 36_000, 60):
        refuse(limit, float(second))
    assert limit.value == 0.1
    assert used_for(limit, 36_000.0, 12 * 60.0, step=10.0) == CEILING


steps = st.lists(
    st.tuples(st.sampled_from(["refuse", "use", "idle"]), st.floats(0, 1e6), st.floats(0, 100))
)


@given(steps, st.floats(0.01, 10), st.floats(1, 1_000))
def test_it_always_stays_between_floor_and_ceiling(steps, floor, times):
    limit = Aimd(floor, floor * times)
    now = 0.0
    for what, span_s, latency_s in steps:
        now += span_s
        before = limit.value
        if what == "refuse":
            limit.refuse(now - latency_s, now)
            assert limit.value <= before
        else:
            limit.grow(now, in_use=what == "use")
            assert limit.value >= before
        assert limit.floor <= limit.value <= limit.ceiling
