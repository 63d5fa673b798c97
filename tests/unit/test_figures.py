"""Numbers, durations and shares as text: as people say them, and never rounded into a lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.figures import counted, duration, elapsed, percent, remaining, significant


@pytest.mark.parametrize(
    ("n", "shown"), [(0, "0 lines"), (1, "1 line"), (2, "2 lines"), (12_345, "12,345 lines")]
)
def test_a_number_of_things_is_in_the_plural_but_for_one(n, shown):
    assert counted(n, "lines") == shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (6, 20, "30 %"),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (0, 0, "0 %"),
        (1, 3, "33.3 %"),
        (1, 1_000, "0.1 %"),
        (999, 1_000, "99.9 %"),
        (1, 100_000, "0.001 %"),
        (99_999, 100_000, "99.999 %"),
        (1, 2_000_000, "0.0001 %"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part, whole, shown):
    assert percent(part, whole) == shown


@pytest.mark.parametrize(("part", "whole", "limit"), [(1_001, 10_000, 0.1), (3_001, 10_007, 0.3)])
def test_a_share_beside_a_limit_is_shown_to_differ_from_it(part, whole, limit):
    shown = percent(part, whole, (limit,))
    assert float(shown.removesuffix(" %")) != limit * 100


@given(st.integers(1, 10**9), st.data())
def test_only_none_is_0_percent_and_only_all_is_100(whole, data):
    part = data.draw(st.integers(0, whole))
    shown = float(percent(part, whole).removesuffix(" %"))
    assert (shown == 0, shown == 100) == (part == 0, part == whole)
    assert shown == pytest.approx(100 * part / whole, abs=0.06)


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.0, 2, "0"),
        (0.104, 2, "0.1"),
        (0.5, 3, "0.5"),
        (2.512, 2, "2.5"),
        (3.3333333, 3, "3.33"),
        (20.0, 2, "20"),
        (23.46, 3, "23.5"),
        (123.4, 2, "123"),
        (1_000_000.0, 3, "1,000,000"),
    ],
)
def test_a_number_has_no_long_fraction(value, digits, shown):
    assert significant(value, digits) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0 s"),
        (4.25, "4.2 s"),
        (42.0, "42 s"),
        (200.0, "3 min 20 s"),
        (7_500.0, "2 h 05 min"),
        (300_000.0, "3 d 11 h"),
    ],
)
def test_a_time_span_is_shown_in_the_units_that_people_use(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0 s"), (12.3, "12 s"), (7_200, "7,200 s")])
def test_what_has_gone_on_is_shown_in_whole_seconds(seconds, shown):
    assert elapsed(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, "1 s"), (0.04, "1 s"), (12.3, "13 s")])
def test_a_wait_that_is_not_over_is_never_shown_as_none(seconds, shown):
    assert remaining(seconds) == shown
