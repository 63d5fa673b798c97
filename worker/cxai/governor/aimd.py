"""An adaptive limit under a ceiling: additive increase, multiplicative decrease.

The API's limit is not published: only refused requests show where it is.
"""

from dataclasses import dataclass

_CUT = 0.5
_NEAR = 0.95
_RECOVERY_S = 2.0
_PROBE_S = 60.0
_DOUBLING_S = 15.0
_MAX_SPAN_S = 10.0


@dataclass(slots=True)
class Aimd:
    """An adaptive limit between `floor` and `ceiling`, in their unit.

    A refusal halves the value. Within two seconds it recovers to 95 % of the value that was
    refused, reaches that value again after a minute, and then doubles every 15 seconds. Only time
    in which the limit was in use counts, and at most ten seconds of a long gap (a pause, an
    outage). Times are seconds of one monotonic clock, given by the caller.
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
        """Its whole state, but for the bounds."""
        return (self.value, self._known, self._probed_s, self.cut_felt_at, self._grown_at)

    def resume(self, *figures: float) -> None:
        """Continue from these figures of another one."""
        self.value, self._known, self._probed_s, self.cut_felt_at, self._grown_at = figures

    def refuse(self, left_at: float, now: float) -> bool:
        """Halve for a request that left at `left_at` and was refused; return whether it did.

        Requests that left before the last cut show nothing about the value since; nor do those of
        one more round trip, since they arrive together with earlier ones.
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
        """Undo all cuts but one since the last answer, which came at the value `answered_at`.

        Refusals at any value show nothing about where the limit is.
        """
        if self.value < answered_at * _CUT:
            self.value, self._known = answered_at * _CUT, answered_at

    def grow(self, now: float, *, in_use: bool) -> None:
        """Grow for the time since the last call, if the limit was `in_use`."""
        span_s = min(now - self._grown_at, _MAX_SPAN_S)
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
