import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.api.retry_after import retry_after_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("120", 120.0),
        ("  7\t", 7.0),
        ("007", 7.0),
        ("0" * 20 + "7", 7.0),
    ],
)
def test_seconds_are_returned_unchanged(value, seconds):
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 01 Mar 2026 12:01:30 GMT",  # the form of RFC 9110
        "Sun, 01 Mar 2026 12:01:30 -0000",
        "Sun, 01 Mar 2026 13:01:30 +0100",
        "Sun Mar  1 12:01:30 2026",  # asctime, which a recipient has to understand
        "Sunday, 01-Mar-26 12:01:30 GMT",  # RFC 850, likewise
    ],
)
def test_a_date_is_converted_to_seconds_from_now(value):
    assert retry_after_s(value, NOW) == 90.0


@pytest.mark.parametrize(
    "value", ["Sun, 01 Mar 2026 11:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_a_past_date_means_now(value):
    assert retry_after_s(value, NOW) == 0.0


@pytest.mark.parametrize("value", ["9" * 12, "9" * 400, "9" * 100_000])
def test_a_huge_number_is_finite(value):
    seconds = retry_after_s(value, NOW)
    assert seconds > 10**10
    assert math.isfinite(seconds)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "soon",
        "-1",
        "-120",
        "+5",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "5 seconds",
        "5, 10",
        "NaN",
        "inf",
        "٣",  # digits, but not HTTP's
        "²",
        "Sun, 99 Mar 2026 12:00:00 GMT",
        "Sun, 01 Mar 99999 12:00:00 GMT",
        "Sun, 01 Mar 2026 12:00:00 +9999",
    ],
)
def test_anything_else_is_ignored(value):
    assert retry_after_s(value, NOW) is None


_ZONES = st.sampled_from(["GMT", "EST", "-0000", "+9999", "-2359", ""])
_DATES = st.tuples(
    st.sampled_from(["Sun, ", "Sunday, ", "Sun ", ", ", ""]),
    st.integers(-1, 99).map(str),
    st.sampled_from(["Mar", "Dec", "03", ""]),
    st.integers(0, 99_999).map(str),
    st.sampled_from(["12:00:00", "12:00", "99:99:99", "12.00.00", "::", ""]),
    _ZONES,
)


@given(st.text() | _DATES.map(" ".join))
def test_the_result_is_none_or_a_finite_number_of_seconds(value):
    seconds = retry_after_s(value, NOW)
    assert seconds is None or (seconds >= 0.0 and math.isfinite(seconds))
