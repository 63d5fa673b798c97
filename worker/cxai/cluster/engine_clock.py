"""The offset between the database's clock and this process's own; pure."""

_DRIFT = 5e-4
"""Two clocks drift apart by less than this share of the time, even while one is adjusted."""


class EngineClock:
    """Converts between monotonic seconds of this process and the database's seconds since 1970.

    Each answer bounds the offset, since its time is from between sending and receiving. The bounds
    of all recent answers together are at least as narrow as those of the fastest one. The time of
    day of this machine is not used, so it may be wrong by hours.
    """

    def __init__(self) -> None:
        self._low = self._high = 0.0
        self._learned_at: float | None = None

    def learn(self, sent: float, received: float, engine_s: float) -> None:
        """Narrow the offset by an answer with the time `engine_s`."""
        low, high = engine_s - received, engine_s - sent
        if self._learned_at is not None:
            drift = (received - self._learned_at) * _DRIFT
            narrow_low, narrow_high = max(low, self._low - drift), min(high, self._high + drift)
            if narrow_low <= narrow_high:  # else a clock was set: only the new answer counts
                low, high = narrow_low, narrow_high
        self._low, self._high, self._learned_at = low, high, received

    def to_engine(self, monotonic: float) -> float:
        """Return the database's time at a monotonic time."""
        return monotonic + (self._low + self._high) / 2

    def to_monotonic(self, engine_s: float) -> float:
        """Return the monotonic time at a time of the database."""
        return engine_s - (self._low + self._high) / 2
