"""The pace of a run is that of its last seconds."""

from cxai.observe.monitor import RateEstimator

START = 1_000.0


def test_a_run_that_has_just_begun_has_no_pace():
    assert RateEstimator(START).rates(START, 0, 0) == (0.0, 0.0)


def test_requests_and_completed_ids_each_have_their_own():
    assert RateEstimator(START).rates(START + 10, 40, 20) == (4.0, 2.0)


def test_the_pace_is_that_of_the_last_seconds():
    pace = RateEstimator(START)
    for second in range(1, 101):
        slow_then_fast = second if second <= 50 else 50 + 10 * (second - 50)
        rates = pace.rates(START + second, slow_then_fast, slow_then_fast)
        if second in {50, 70}:
            assert rates[0] == {50: 1.0, 70: 10.0}[second]
    assert rates == (10.0, 10.0)


def test_the_pace_is_known_where_looks_are_rare():
    pace = RateEstimator(START)
    pace.rates(START + 60, 600, 600)
    assert pace.rates(START + 120, 1_800, 1_800) == (20.0, 20.0)
