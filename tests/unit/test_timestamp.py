"""Every point in time is written in one format, and those of earlier versions are read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cxai.core.timestamp import in_one_format, timestamp


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (datetime(2025, 1, 31, tzinfo=UTC), "2025-01-31T00:00:00.000Z"),
        (datetime(2025, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2024-12-31T23:00:00.000Z"),
        (datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "2025-12-31T23:59:59.999Z"),
    ],
)
def test_a_time_stamp_is_in_utc_with_milliseconds(at, written):
    assert timestamp(at) == written
    assert in_one_format(written) == written


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-11-27T03:00:00+00:00", "2026-11-27T03:00:00.000Z"),
        ("2026-11-27T03:00:00.123456Z", "2026-11-27T03:00:00.123Z"),
        ("2026-11-27T03:00:00", "2026-11-27T03:00:00"),  # of no known zone
        ("yesterday", "yesterday"),
    ],
)
def test_what_earlier_versions_wrote_is_shown_in_that_format(written, shown):
    assert in_one_format(written) == shown
