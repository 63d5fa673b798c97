"""The adaptive rate of a process or of an account: lowered while the API throttles, then raised."""

import math

from cxai.governor.aimd import Aimd
from cxai.policy.table import Signal

IN_USE_S = 1.0
"""The rate is in use if a request had to wait for it within this time."""

# Overloads indicate a limit if they exceed this share of about this many latest replies.
_REPLIES, _SHARE = 20, 0.2

_LEAST_RATE = 0.1  # however often the API refuses, one request leaves every ten seconds
_NEGLIGIBLE = 0.001  # a smaller share of overloads counts as none
_REST_S = 600.0  # then no request that left before a refusal is still in flight


class AdaptiveRate:
    """Requests per second, above 0 and at most `ceiling`; without `adaptive`, always the ceiling.

    It may continue from another's `figures`. Times are seconds of one clock, in any order.
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
        """Its whole state."""
        return (self._overloads, self._answered_at_rate, self._refused_at, *self._rate.figures)

    def is_at_rest(self, now: float) -> bool:
        """Whether its state is the same as that of a new one."""
        ceiling = self._rate.ceiling
        return (
            self.value == self._answered_at_rate == ceiling
            and self._overloads < _NEGLIGIBLE
            and now - self._rate.cut_felt_at > _REST_S
        )

    def learn(self, signal: Signal, left_at: float, now: float, *, in_use: bool) -> None:
        """Adapt to the reply to a request that left at `left_at`.

        Unless the rate was `in_use`, answers do not show that a higher one would be accepted.
        """
        if signal is Signal.ANSWERED:
            self._overloads -= self._overloads / _REPLIES
            is_since = left_at > self._refused_at  # else it left at an earlier rate
            if is_since:
                self._rate.take_back(self._answered_at_rate)
            self._rate.grow(now, in_use=in_use)
            if is_since:
                self._answered_at_rate = self._rate.value
        elif signal is Signal.THROTTLED and self._adaptive:
            self._refused_at = max(self._refused_at, now)
            self._rate.refuse(left_at, now)

    def note_overload(self, left_at: float, now: float) -> None:
        """Note an overload that was no outage; many of them among the answers indicate a limit."""
        self._overloads += (1.0 - self._overloads) / _REPLIES
        if self._overloads > _SHARE and self._adaptive:
            self._rate.refuse(left_at, now)

    def restore(self) -> None:
        """Undo reductions since the last answer: only single IDs were refused."""
        self._rate.value = max(self._rate.value, self._answered_at_rate)
