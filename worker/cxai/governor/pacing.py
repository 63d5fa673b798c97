"""The arithmetic of the rate: when the next request may leave."""

import math
from collections import deque

MARGIN = 0.003
"""Share of the allowed rate that is left unused.

The server counts requests as they arrive, not as they leave: without a margin, a request that
travels faster than the one a second before it makes the second too full.
"""

EXIT_MARGIN = MARGIN / 2
"""The margin within which requests are counted as they leave.

It is narrower than the margin of the plan, so that a request that is on time never waits for the
count. The difference of the two is what there is to make up for stalls.
"""

_TICKS_PER_S = 1_000

TENTH_S = 0.1
"""An even flow is bounded within this time, too, not only within a second."""


class Window:
    """Bounds how many requests of a flow leave within a stretch of time, wherever it begins.

    Evenly it is a tenth of a second's budget + 1 in a tenth of a second; with `burst` it is
    floor(rate), at least 1, in the time that these take. `rate` is requests per second, `margin`
    the share of that time that is added to it. A request counts when it leaves, or when it is
    known to be sent.

    Times are seconds of one monotonic clock, given by the caller.
    """

    def __init__(self, rate: float, *, burst: bool, margin: float = MARGIN) -> None:
        self._burst = burst
        self._margin = margin
        self._recent: deque[float] = deque()
        self.change(rate)

    def change(self, rate: float) -> None:
        """Go on at another rate."""
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
        """Note that the last `count` that left had not been sent before `now`, perhaps."""
        for last in range(1, min(count, len(self._recent)) + 1):
            self._recent[-last] = now


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
        self._rate = rate
        self._window = Window(rate, burst=burst, margin=MARGIN if burst else EXIT_MARGIN)

    @property
    def interval_s(self) -> float:
        """Seconds between two requests of an even flow."""
        return (1.0 + MARGIN) / self._rate

    def change(self, rate: float) -> None:
        """Go on at another rate."""
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
        """Return how much of that is for the bound, so that being late for it can't be made up."""
        return self._window.wait_s(now)

    def leave(self, now: float) -> None:
        """Note that a request leaves at `now`."""
        self._window.leave(now)
        planned = now if self._next_s is None else self._next_s
        self._next_s = max(planned, now - TENTH_S) + self.interval_s


class Exit:
    """Bounds what is really sent, whatever came between a request's turn and its sending.

    No more than `rate` within any second (of a fraction: floor(rate), at least 1, within the time
    that these take), and evenly no more than a tenth of that + 1 within any tenth of a second.

    Between the moment when a request may leave and the one when its bytes are with the system, a
    busy machine may take the processor away for many milliseconds. So a request may leave by the
    earliest time at which it can be sent, and counts for others at the latest: the bound holds
    whatever lies between.
    """

    def __init__(self, rate: float, *, burst: bool) -> None:
        self._second = Window(rate, burst=True, margin=EXIT_MARGIN)
        self._tenth = Window(rate, burst=burst, margin=EXIT_MARGIN)
        self.unsent = 0
        """How many have left that are not known to be sent."""

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
    """Return how long to sleep from `now` so that one timer is enough for a wait for the plan.

    uvloop's timers go off at whole milliseconds of the clock, which is up to one too early; set
    again for less than half a millisecond, they go off at once, and again, and again. So this is
    the first whole millisecond after the wait; what comes that late, the plan makes up for. It
    takes two looks for a request in place of three to five.
    """
    ticks = math.ceil((now + wait_s) * _TICKS_PER_S) - math.floor(now * _TICKS_PER_S)
    return ticks / _TICKS_PER_S
