"""Backoff: exponential, capped, with full jitter."""

from hypothesis import given
from hypothesis import strategies as st
from support.policy import draws

from cxai.policy.settings import backoff_s

failures_in_a_row = st.integers(1, 50) | st.integers(1, 10**400)
bases = st.floats(0.001, 3_600)
caps = st.floats(0.001, 86_400)


@given(failures_in_a_row, bases, caps, draws)
def test_backoff_is_within_its_cap_and_its_doubling(failures, base_s, cap_s, draw):
    wait_s = backoff_s(failures, base_s, cap_s, draw)
    assert 0 <= wait_s <= cap_s
    if failures <= 1_000:
        assert wait_s <= base_s * 2.0 ** (failures - 1)


@given(st.integers(1, 100), bases, caps, draws, draws)
def test_backoff_grows_with_the_failures_and_with_the_draw(failures, base_s, cap_s, one, other):
    low, high = sorted([one, other])
    less, more = (backoff_s(failures, base_s, cap_s, draw) for draw in (low, high))
    assert less <= more <= backoff_s(failures + 1, base_s, cap_s, high)


def test_backoff_spreads_over_all_of_its_range():
    waits = [backoff_s(4, 1.0, 60.0, draw) for draw in (0.0, 0.25, 0.5, 0.75)]
    assert waits == [0.0, 2.0, 4.0, 6.0]
