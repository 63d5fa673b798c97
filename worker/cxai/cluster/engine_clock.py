"""How far the engine's clock is from this process's own; pure."""

# Two clocks part by less than this share of the time, even while one of them is being adjusted.
_DRIFT = 5e-4


class EngineClock:
    """Converts between monotonic seconds of this process and the engine's seconds since 1970.

    Each answer of the engine bounds the distance: the time in it is from between sending and
    receiving. What all recent answers allow is narrower than any one of them, and as good as the
    quickest. Of this process only differences are used, so its time of day may be wrong by hours.
    """

    def __init__(self) -> None:
        self._low = self._high = 0.0
        self._learned_at: float | None = None

    def learn(self, sent: float, received: float, engine_s: float) -> None:
        """Take the engine's time `engine_s` from an answer to what was sent at `sent`."""
        low, high = engine_s - received, engine_s - sent
        if self._learned_at is not None:
            drift = (received - self._learned_at) * _DRIFT
            narrow_low, narrow_high = max(low, self._low - drift), min(high, self._high + drift)
            if narrow_low <= narrow_high:  # else one of the clocks was set: only the new counts
                low, high = narrow_low, narrow_high
        self._low, self._high, self._learned_at = low, high, received

    def to_engine(self, monotonic: float) -> float:
        """Return the engine's time at this moment of ours."""
        return monotonic + (self._low + self._high) / 2

    def to_monotonic(self, engine_s: float) -> float:
        """Return our time at this moment of the engine's."""
        return engine_s - (self._low + self._high) / 2
