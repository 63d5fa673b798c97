"""The budget of retries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.governor.budget import RetryBudget

AT_ONCE = 10


def test_a_burst_of_ten_passes_and_further_retries_wait():
    budget = RetryBudget(2.0)
    waits = [budget.spend(100.0) for _ in range(AT_ONCE + 4)]
    assert waits == [0.0] * AT_ONCE + [0.5, 1.0, 1.5, 2.0]


def test_time_refills_the_budget_up_to_its_burst():
    budget = RetryBudget(2.0)
    for _ in range(AT_ONCE):
        budget.spend(100.0)
    assert [budget.spend(100.5) for _ in range(2)] == [0.0, 0.5]
    assert [budget.spend(1e6) for _ in range(AT_ONCE + 1)] == [0.0] * AT_ONCE + [0.5]


@given(st.floats(0.01, 1_000), st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_no_retry_is_rejected_and_the_rate_holds_in_any_span(per_s, gaps):
    budget = RetryBudget(per_s)
    now, uses = 0.0, []
    for gap in gaps:
        now += gap
        uses.append(now + budget.spend(now))
    assert uses == pytest.approx(sorted(uses))
    for first, start in enumerate(uses):
        span_s = uses[-1] - start
        assert len(uses) - first <= AT_ONCE + 1 + per_s * span_s * (1 + 1e-6) + 1e-3
