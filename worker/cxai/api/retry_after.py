"""The Retry-After header (RFC 9110, 10.2.3): seconds or a date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MOST_S = 1e12


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds to wait from `now`, 0 for a past date, None if it is neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _MOST_S)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:  # "-0000": RFC 5322 leaves the zone open; HTTP dates are GMT
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
