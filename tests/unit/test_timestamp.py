"""Points in time as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cxai.core.timestamp import timestamp


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2025, 1, 31, 2, 3, 4, 5678, tzinfo=UTC), "2025-01-31T02:03:04.005Z"),
        (datetime(2025, 1, 31, tzinfo=UTC), "2025-01-31T00:00:00.000Z"),
        (datetime(2025, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2024-12-31T23:00:00.000Z"),
        (datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2025-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_utc_with_milliseconds(at, text):
    assert timestamp(at) == text
