"""The moments at which this worker may let requests leave, from the account's rate; pure."""

from collections import deque

SLACK_S = 0.008
"""A tick that is later than this is not used any more.

What leaves late comes closer to the ticks of other workers. Together with the network's own unrest
this has to stay below the share of the rate that is left unused (limits.MARGIN, of a second).
"""


class Ticks:
    """Ticks that come, and those whose turn was given to a request that has not left yet.

    Times are monotonic seconds, given by the caller. `late` counts those that went unused.
    """

    def __init__(self) -> None:
        self._coming: deque[float] = deque()
        self._taken: deque[float] = deque()
        self.late = 0

    def __len__(self) -> int:
        """Return how many are still to come."""
        return len(self._coming)

    def add(self, first: float, step: float, count: int) -> None:
        """Add `count` ticks from `first` on, each later than all that were added before."""
        self._coming.extend(first + n * step for n in range(count))

    def drop(self) -> None:
        """Use none of them."""
        self._coming.clear()
        self._taken.clear()

    def reach_s(self, now: float) -> float:
        """Return how far the last of them is ahead, 0 if there is none."""
        return max(0.0, self._coming[-1] - now) if self._coming else 0.0

    def wait_s(self, now: float) -> float | None:
        """Return how long the next turn has to wait, 0 if it may be taken, None without any."""
        self.late += _drop_late(self._coming, now)
        return max(0.0, self._coming[0] - now) if self._coming else None

    def take(self) -> None:
        """Take the turn that `wait_s` has found."""
        self._taken.append(self._coming.popleft())

    def send_slot(self, now: float) -> bool:
        """Use up a turn that was taken; return False if all of them are too late by now.

        It does not matter which request uses it: one leaves at this tick, and no other.
        """
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
