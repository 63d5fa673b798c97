"""The moments at which requests of this worker may leave, by the account's rate; pure."""

from collections import deque

SLACK_S = 0.008
"""A tick that is late by more than this is not used.

A request that leaves late comes closer to the next worker's. Together with variations of the
network this has to stay below the unused share of the rate (limits.MARGIN, of a second).
"""


class Ticks:
    """Ticks to come, and those taken by requests that have not left yet.

    Times are monotonic seconds, passed by the caller. `late` counts the unused ones.
    """

    def __init__(self) -> None:
        self._coming: deque[float] = deque()
        self._taken: deque[float] = deque()
        self.late = 0

    def __len__(self) -> int:
        """Return how many are to come."""
        return len(self._coming)

    def add(self, first: float, step: float, count: int) -> None:
        """Add `count` ticks from `first` on, each later than all that were added before."""
        self._coming.extend(first + n * step for n in range(count))

    def drop(self) -> None:
        """Drop all of them."""
        self._coming.clear()
        self._taken.clear()

    def reach_s(self, now: float) -> float:
        """Return how far ahead the last one is, 0 without any."""
        return max(0.0, self._coming[-1] - now) if self._coming else 0.0

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until the next one is due, 0 if it is, None without any."""
        self.late += _drop_late(self._coming, now)
        return max(0.0, self._coming[0] - now) if self._coming else None

    def take(self) -> None:
        """Take the tick that is due by `wait_s`."""
        self._taken.append(self._coming.popleft())

    def send_slot(self, now: float) -> bool:
        """Use a tick that was taken, whichever it is; return False if all are late by now."""
        self.late += _drop_late(self._taken, now)
        if not self._taken:
            return False
        self._taken.popleft()
        return True


def _drop_late(ticks: deque[float], now: float) -> int:
    dropped = 0
    while ticks and now - ticks[0] > SLACK_S:
        ticks.popleft()
        dropped += 1
    return dropped
