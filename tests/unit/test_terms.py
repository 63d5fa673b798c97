"""Which terms of a shared export its workers follow as they are."""

import pytest

from cxai.app.terms import can_be_followed, terms_of
from cxai.settings import Settings

BEGAN = terms_of(Settings(rate=5, in_flight=10))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"rate": 50.0}, True),
        ({"in_flight": 3}, True),
        ({"in_flight": 11}, False),
        ({"flush_s": 1.0}, False),
        ({"total_timeout_s": 7.0}, False),
        ({"a later version's": 1}, False),
    ],
    ids=str,
)
def test_only_limits_are_followed_and_no_higher_one_in_flight(changed, expected):
    assert can_be_followed(BEGAN, {**BEGAN, **changed}) is expected
