"""Pacing arithmetic: when the next request may leave.

Times are seconds of one monotonic clock, given by the caller. `rate` is requests per second, above
0, fractions allowed.
"""

import math
from collections import deque

MARGIN = 0.003
"""Share of the allowed rate that is left unused.

The server counts arrivals: a request that travels faster than the one a second before it would
exceed the rate there.
"""

EXIT_MARGIN = MARGIN / 2
"""The margin for counting requests as they leave.

It is narrower, so that a request that is on time never waits for the count; the difference allows
the schedule to catch up after stalls.
"""

_TICKS_PER_S = 1_000

TENTH_S = 0.1  # an even flow is also bounded within this time, not only within a second


class Window:
    """A sliding window that bounds how many requests leave within any such length of time.

    Without `burst` that is a tenth of the rate + 1 in a tenth of a second; with `burst` it is
    floor(rate), at least 1, in the time that these take at this rate. `margin` is the share by
    which the window is lengthened.
    """

    def __init__(self, rate: float, *, burst: bool, margin: float = MARGIN) -> None:
        self._burst = burst
        self._margin = margin
        self._recent: deque[float] = deque()
        self.change(rate)

    def change(self, rate: float) -> None:
        """Continue at another rate."""
        most = max(1, int(rate)) if self._burst else int(rate * TENTH_S) + 1
        self._length_s = (most / rate if self._burst else TENTH_S) * (1.0 + self._margin)
        self._recent = deque(self._recent, maxlen=most)

    def wait_s(self, now: float) -> float:
        """Return how long from `now` the next request has to wait, 0 if it may leave."""
        if len(self._recent) != self._recent.maxlen:
            return 0.0
        return max(0.0, self._recent[0] + self._length_s - now)

    def leave(self, now: float) -> None:
        """Note that a request leaves at `now`."""
        self._recent.append(now)

    def sent(self, count: int, now: float) -> None:
        """Note that the last `count` that left may have been sent as late as `now`."""
        for last in range(1, min(count, len(self._recent)) + 1):
            self._recent[-last] = now


class Schedule:
    """Even spacing that catches up after a stall without bunching requests.

    Requests are scheduled 1/rate apart. A late caller may catch up on the last tenth of a second,
    within the bounds of Window. With `burst` there is no spacing, only these bounds.
    """

    def __init__(self, rate: float, *, burst: bool = False) -> None:
        self._burst = burst
        self._next_s: float | None = None
        self._rate = rate
        self._window = Window(rate, burst=burst, margin=MARGIN if burst else EXIT_MARGIN)

    @property
    def interval_s(self) -> float:
        """Seconds between two requests of an even flow."""
        return (1.0 + MARGIN) / self._rate

    def change(self, rate: float) -> None:
        """Continue at another rate."""
        if rate != self._rate:
            self._rate = rate
            self._window.change(rate)

    def wait_s(self, now: float) -> float:
        """Return how long from `now` the next request has to wait, 0 if it may leave."""
        bound_s = self._window.wait_s(now)
        if self._next_s is None or self._burst:
            return bound_s
        return max(bound_s, self._next_s - now)

    def bound_s(self, now: float) -> float:
        """Return the part of that wait that can't be caught up, since the window requires it."""
        return self._window.wait_s(now)

    def leave(self, now: float) -> None:
        """Note that a request leaves at `now`."""
        self._window.leave(now)
        planned = now if self._next_s is None else self._next_s
        self._next_s = max(planned, now - TENTH_S) + self.interval_s


class Exit:
    """Bounds the requests that are really sent, however late after their slot.

    At most `rate` within any second (of a fraction: floor(rate), at least 1, within the time that
    these take), and without `burst` at most a tenth of that + 1 within any tenth of a second.

    A busy machine may suspend the process for many milliseconds between the moment when a request
    may leave and the one when the system has its bytes. So a request is admitted by the earliest
    time at which it can be sent, and counted at the latest.
    """

    def __init__(self, rate: float, *, burst: bool) -> None:
        self._second = Window(rate, burst=True, margin=EXIT_MARGIN)
        self._tenth = Window(rate, burst=burst, margin=EXIT_MARGIN)
        self.unsent = 0
        """Requests that have left and are not known to be sent."""

    def wait_s(self, now: float) -> float:
        """Return how long from `now` the next request has to wait, 0 if it may leave."""
        return max(self._second.wait_s(now), self._tenth.wait_s(now))

    def leave(self, now: float) -> None:
        """Note that a request leaves at `now`."""
        self._second.leave(now)
        self._tenth.leave(now)
        self.unsent += 1

    def sent(self, now: float) -> None:
        """Note that all that have left are sent by `now`."""
        self._second.sent(self.unsent, now)
        self._tenth.sent(self.unsent, now)
        self.unsent = 0


def to_next_tick_s(now: float, wait_s: float) -> float:
    """Return how long to sleep from `now` so that one timer suffices to wait for the schedule.

    uvloop's timers fire at whole milliseconds of the clock, up to one too early, and timers of less
    than half a millisecond fire immediately, over and over. The first whole millisecond after the
    wait takes two wake-ups a request instead of three to five; the schedule catches up.
    """
    ticks = math.ceil((now + wait_s) * _TICKS_PER_S) - math.floor(now * _TICKS_PER_S)
    return ticks / _TICKS_PER_S
