"""A limit that finds its place: additive increase, multiplicative decrease, under a ceiling.

The API's limit is not published. What it refuses tells where it is; what it lets pass does not.
"""

from dataclasses import dataclass

_CUT = 0.5
_NEAR = 0.95
_RECOVERY_S = 2.0
_PROBE_S = 60.0
_DOUBLING_S = 15.0
_LONGEST_SPAN_S = 10.0


@dataclass(slots=True)
class Aimd:
    """One adaptive limit between `floor` and `ceiling`, in whatever unit the two have.

    A refusal halves it. Then it comes back within two seconds to just below where it was refused,
    since the limit is known to be near, and from there ever faster: it reaches that place again
    after a minute, and doubles each quarter of a minute from there. So a limit that stands is tried
    about once a minute, and one that was lifted is noticed soon. Only time in which the limit was
    in use counts, and of a long silence (a pause, an outage) ten seconds at most. Times are
    seconds of one monotonic clock, given by the caller.
    """

    floor: float
    ceiling: float
    value: float = 0.0
    _known: float = 0.0
    _probed_s: float = 0.0
    cut_felt_at: float = float("-inf")
    _grown_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.value = self._known = self.ceiling

    @property
    def figures(self) -> tuple[float, ...]:
        """All that it has learned."""
        return (self.value, self._known, self._probed_s, self.cut_felt_at, self._grown_at)

    def resume(self, *figures: float) -> None:
        """Go on where one with these figures was."""
        self.value, self._known, self._probed_s, self.cut_felt_at, self._grown_at = figures

    def refuse(self, left_at: float, now: float) -> bool:
        """Halve for a request that left at `left_at` and was refused; return whether it did.

        Requests that left before the last cut tell nothing about the value since; nor do those
        of one more round trip, which still meet what had left before it.
        """
        if left_at <= self.cut_felt_at:
            return False
        self._known = self.value
        self.value = max(self.floor, self.value * _CUT)
        self._probed_s = 0.0
        self.cut_felt_at = now + (now - left_at)
        self._grown_at = now
        return True

    def take_back(self, answered_at: float) -> None:
        """Leave one cut of those since `answered_at` was the value and anything was answered.

        What is refused at any value tells nothing of where the limit is.
        """
        if self.value < answered_at * _CUT:
            self.value, self._known = answered_at * _CUT, answered_at

    def grow(self, now: float, *, in_use: bool) -> None:
        """Grow for the time since the last call, if the limit was `in_use`."""
        span_s = min(now - self._grown_at, _LONGEST_SPAN_S)
        if span_s <= 0:
            return
        self._grown_at = now
        if not in_use or self.value >= self.ceiling:
            return
        near = _NEAR * self._known
        if self.value < near:
            grown = min(near, self.value + (_NEAR - _CUT) * self._known * span_s / _RECOVERY_S)
        else:
            self._probed_s += span_s
            tried, beyond_s = self._probed_s / _PROBE_S, self._probed_s - _PROBE_S
            times = _NEAR + (1 - _NEAR) * tried**2 if tried < 1 else 2.0 ** (beyond_s / _DOUBLING_S)
            grown = self._known * times
        self.value = min(max(self.value, grown), self.ceiling)
