"""The system's clocks."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Adapter of ports.Clock."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.now(UTC)
