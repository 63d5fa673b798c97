"""The arithmetic of the rate: when the next request may leave."""

from collections import deque

MARGIN = 0.003
"""Share of the allowed rate that is left unused.

The server counts requests as they arrive, not as they leave: without a margin, a request that
travels faster than the one a second before it makes the second too full.
"""

_BURST_WINDOW_S = 0.1


class Schedule:
    """An even spacing that catches up after a stall, without ever bunching.

    `rate` is requests per second, above 0, fractions too. Requests are planned 1/rate apart; if
    the caller comes late, it may catch up what it missed of the last tenth of a second, but never
    more than a tenth of a second's budget + 1 leaves within any tenth of a second. With `burst`,
    the spacing is left out: floor(rate) requests, at least 1, may leave at once, but never more
    within the time that these take.

    Times are seconds of one monotonic clock, given by the caller.
    """

    def __init__(self, rate: float, *, burst: bool = False) -> None:
        self._burst = burst
        self._next_s: float | None = None
        self._recent: deque[float] = deque()
        self.change(rate)

    def change(self, rate: float) -> None:
        """Go on at another rate."""
        self.interval_s = (1.0 + MARGIN) / rate
        most = max(1, int(rate)) if self._burst else int(rate * _BURST_WINDOW_S) + 1
        self._window_s = most * self.interval_s if self._burst else _BURST_WINDOW_S
        if most != self._recent.maxlen:
            self._recent = deque(self._recent, maxlen=most)

    def wait_s(self, now: float) -> float:
        """Return how long from `now` the next request has to wait, 0 if it may leave."""
        due = now
        if self._next_s is not None and not self._burst:
            due = max(due, self._next_s)
        if len(self._recent) == self._recent.maxlen:
            due = max(due, self._recent[0] + self._window_s)
        return due - now

    def leave(self, now: float) -> None:
        """Note that a request leaves at `now`."""
        self._recent.append(now)
        planned = now if self._next_s is None else self._next_s
        self._next_s = max(planned, now - _BURST_WINDOW_S) + self.interval_s
