"""The budget of repeated requests: a bad hour must not become a storm."""

from dataclasses import dataclass

_MOST_SAVED = 10.0


@dataclass(slots=True)
class RetryBudget:
    """Lets `per_s` repeated requests a second pass in the long run, and a few at once.

    Callers wait when it is spent; none is rejected. Times are seconds of one monotonic clock, given
    by the caller.
    """

    per_s: float
    _saved: float = _MOST_SAVED
    _at: float = float("-inf")

    def spend(self, now: float) -> float:
        """Take one; return the seconds after which it may be used, 0 if at once."""
        earned = (now - self._at) * self.per_s
        self._saved = min(_MOST_SAVED, self._saved + earned) - 1.0
        self._at = now
        return max(0.0, -self._saved / self.per_s)
