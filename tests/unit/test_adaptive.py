"""The state of the adaptive rate, which workers share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.governor.adaptive import AdaptiveRate
from cxai.policy.table import Signal

CEILING = 100.0
LATENCY_S = 0.2
START = 1_000.0


def lesson(rate, kind, now):
    match kind:
        case Signal():
            rate.learn(kind, now - LATENCY_S, now, in_use=True)
        case "overload":
            rate.note_overload(now - LATENCY_S, now)
        case "restore":
            rate.restore()


@given(st.lists(st.tuples(st.sampled_from([*Signal, "overload", "restore"]), st.floats(0.0, 30.0))))
def test_continuing_from_figures_equals_one_continuous_rate(lessons):
    alone, handed_on, now = AdaptiveRate(CEILING), AdaptiveRate(CEILING), START
    for kind, later_s in lessons:
        now += later_s
        lesson(alone, kind, now)
        handed_on = AdaptiveRate(CEILING, figures=handed_on.figures)
        lesson(handed_on, kind, now)
    assert handed_on.figures == alone.figures
    assert handed_on.value == alone.value


def test_it_grows_with_time_and_not_with_the_number_of_answers():
    one, two = AdaptiveRate(CEILING), AdaptiveRate(CEILING)
    for rate, workers in ((one, 1), (two, 2)):
        lesson(rate, Signal.THROTTLED, START)
        for worker in range(workers):  # each hands in what it has seen meanwhile
            for tenth in range(1, 11):
                lesson(rate, Signal.ANSWERED, START + 0.5 + tenth / 10 + worker / 100)
    assert 50.0 < one.value < 95.0
    assert two.value == pytest.approx(one.value, abs=0.5)


def test_at_first_it_is_at_rest():
    assert AdaptiveRate(CEILING).is_at_rest(START)


def test_it_is_at_rest_again_long_after_it_has_recovered():
    rate, now = AdaptiveRate(CEILING), START
    lesson(rate, "overload", now)
    lesson(rate, Signal.THROTTLED, now)
    for _ in range(1_000):
        assert not rate.is_at_rest(now)
        now += 1.0
        lesson(rate, Signal.ANSWERED, now)
        if rate.is_at_rest(now):
            break
    assert rate.value == CEILING
    assert now - START > 600.0
    assert rate.is_at_rest(now)


def test_a_restored_rate_still_ignores_old_refusals():
    rate = AdaptiveRate(CEILING)
    lesson(rate, Signal.THROTTLED, START)
    rate.restore()
    assert not rate.is_at_rest(START + 1.0)
    rate.learn(Signal.THROTTLED, START - 0.1, START + 1.0, in_use=True)
    assert rate.value == CEILING
