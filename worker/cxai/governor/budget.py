"""The retry budget: an hour of failures must not become a storm of retries."""

from dataclasses import dataclass

_BURST = 10.0


@dataclass(slots=True)
class RetryBudget:
    """A token bucket of `per_s` retries per second, with a burst of ten; times are monotonic."""

    per_s: float
    _saved: float = _BURST
    _at: float = float("-inf")

    def spend(self, now: float) -> float:
        """Take one retry; return the seconds to wait before it, 0 for none."""
        earned = (now - self._at) * self.per_s
        self._saved = min(_BURST, self._saved + earned) - 1.0
        self._at = now
        return max(0.0, -self._saved / self.per_s)
