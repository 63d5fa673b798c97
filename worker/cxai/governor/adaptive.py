"""The rate that is allowed now: lowered while the API refuses requests, raised while it doesn't.

One theory for a process of its own (`local.py`) and for the workers of an account, who share its
state through a database (`cxai/cluster/limiter.py`).
"""

import math

from cxai.governor.aimd import Aimd
from cxai.policy.table import Signal

IN_USE_S = 1.0
"""The rate was in use if a request had to wait for it this short a time ago."""

# However often the API refuses, one request every ten seconds leaves to see whether it still does.
_LEAST_RATE = 0.1

# Overloads are a limit, not accidents, if they are more than this share of so many latest replies.
_REPLIES, _SHARE = 20, 0.2

# So few of them left count as none.
_FORGOTTEN = 0.001

# From so long after a refusal on, no request that left before it is under way any more.
_REST_S = 600.0


class AdaptiveRate:
    """Requests per second, above 0 and at most `ceiling`.

    Without `adaptive` it always is the ceiling. `figures` go on where another one was. Times are
    seconds of one clock, given by the caller; they may come in another order than they happened.
    """

    def __init__(
        self, ceiling: float, *, adaptive: bool = True, figures: tuple[float, ...] | None = None
    ) -> None:
        self._adaptive = adaptive
        self._rate = Aimd(min(ceiling, _LEAST_RATE), ceiling)
        self._overloads = 0.0  # as a share of the latest replies
        self._answered_at_rate = ceiling
        self._refused_at = -math.inf
        if figures is not None:
            self._overloads, self._answered_at_rate, self._refused_at, *rate = figures
            self._rate.resume(*rate)

    @property
    def value(self) -> float:
        """Requests per second that are allowed now."""
        return self._rate.value

    @property
    def figures(self) -> tuple[float, ...]:
        """All that it has learned."""
        return (self._overloads, self._answered_at_rate, self._refused_at, *self._rate.figures)

    def is_at_rest(self, now: float) -> bool:
        """Whether it is as if it had never learned anything."""
        ceiling = self._rate.ceiling
        return (
            self.value == self._answered_at_rate == ceiling
            and self._overloads < _FORGOTTEN
            and now - self._rate.cut_felt_at > _REST_S
        )

    def learn(self, signal: Signal, left_at: float, now: float, *, in_use: bool) -> None:
        """Adapt to what a request that left at `left_at` tells of the API.

        `in_use` is whether requests had to wait for the rate of late: else it can't be known
        whether a higher one would be refused.
        """
        if signal is Signal.ANSWERED:
            self._overloads -= self._overloads / _REPLIES
            is_since = left_at > self._refused_at  # else it left at another rate
            if is_since:
                self._rate.take_back(self._answered_at_rate)
            self._rate.grow(now, in_use=in_use)
            if is_since:
                self._answered_at_rate = self._rate.value
        elif signal is Signal.THROTTLED and self._adaptive:
            self._refused_at = max(self._refused_at, now)
            self._rate.refuse(left_at, now)

    def note_overload(self, left_at: float, now: float) -> None:
        """Note an overload that was no outage: many of them among the answers tell of a limit."""
        self._overloads += (1.0 - self._overloads) / _REPLIES
        if self._overloads > _SHARE and self._adaptive:
            self._rate.refuse(left_at, now)

    def restore(self) -> None:
        """Take back what was lowered since the last answer: it was no limit that all share."""
        self._rate.value = max(self._rate.value, self._answered_at_rate)
