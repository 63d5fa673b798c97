"""Shares are never rounded into a lie, and numbers of things are counted as people do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.figures import counted, percent


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
