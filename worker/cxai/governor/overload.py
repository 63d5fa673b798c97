"""Whether a 503 without Retry-After tells of a limit, of an outage, or of nothing at all."""

from dataclasses import dataclass
from enum import Enum, auto

_REPLIES = 20
_SERIOUS = 0.2
_MOST_CUTS_UNANSWERED = 2
_SETTLING_S, _TEST_S = 1.0, 2.0
_DEAF_S, _DEAF_CAP_S = 60.0, 3600.0


class Finding(Enum):
    """What follows from one such reply."""

    CUT = auto()  # ask for less
    NOTHING = auto()
    MISTAKEN = auto()  # the last cut was for nothing: take it back


@dataclass(slots=True)
class Overload:
    """Judges the replies by what comes of asking for less.

    A cut is an experiment. If the 503s had been about the pace, none would come while the pace is
    below what was refused, which is the second second after the cut; if they come nevertheless,
    and are few, they are accidents: the cut is taken back, and for a minute (then two, four, … up
    to an hour) such accidents are passed over. If they are more than a fifth of the latest replies,
    they are heard in any case. If two cuts have not brought a single answer, it is no matter of
    pace, but the breaker's. Times are seconds of one monotonic clock, given by the caller.
    """

    _share: float = 0.0
    _cuts_unanswered: int = 0
    _cut_at: float = float("-inf")
    _deaf_until: float = float("-inf")
    _deaf_s: float = _DEAF_S

    def is_testing(self, now: float) -> bool:
        """Whether the last cut has still to prove right."""
        return now < self._cut_at + _TEST_S

    def cut(self, now: float) -> None:
        """Note that a CUT had an effect at `now`."""
        self._cuts_unanswered += 1
        self._cut_at = now

    def answered(self) -> None:
        """Note an answer."""
        self._share -= self._share / _REPLIES
        self._cuts_unanswered = 0

    def overloaded(self, left_at: float, now: float) -> Finding:
        """Judge a 503 to a request that left at `left_at`."""
        self._share += (1 - self._share) / _REPLIES
        if self._cuts_unanswered >= _MOST_CUTS_UNANSWERED:
            return Finding.NOTHING
        if self._share > _SERIOUS:
            return Finding.CUT
        if now < self._deaf_until:
            return Finding.NOTHING
        since_cut_s = left_at - self._cut_at
        if since_cut_s <= _SETTLING_S:  # it met what had left before the cut
            return Finding.NOTHING
        if since_cut_s > _TEST_S:
            return Finding.CUT
        self._cut_at = float("-inf")
        self._deaf_until = now + self._deaf_s
        self._deaf_s = min(2 * self._deaf_s, _DEAF_CAP_S)
        return Finding.MISTAKEN

    def forget(self) -> None:
        """Begin anew: there was an outage."""
        self._share = 0.0
        self._cuts_unanswered = 0
        self._cut_at = float("-inf")
