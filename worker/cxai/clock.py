"""The system's clocks."""

import time
from datetime import UTC, datetime


class SystemClock:
    """Adapter of ports.Clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)
