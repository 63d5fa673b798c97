"""Timestamps as text: one format in rows, ledger, manifest, log and reports."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=1)  # all rows of a block have one time: saves 4 µs for each further row
def timestamp(at: datetime) -> str:
    """Return a point in time as RFC 3339 in UTC, with milliseconds: `2026-11-27T03:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def in_one_format(written: str) -> str:
    """Return a timestamp of any version in the format of `timestamp`; other text unchanged.

    Ledgers of earlier versions hold whole seconds with an offset: `2026-11-27T03:00:00+00:00`.
    """
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return written
    return timestamp(at) if at.tzinfo else written
