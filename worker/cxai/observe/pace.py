"""How fast a run is: requests and verdicts a second, of the last seconds."""

from collections import deque

_WINDOW_S = 10.0


class RateEstimator:
    """Estimates two rates of a run that started at `now` (monotonic seconds)."""

    def __init__(self, now: float) -> None:
        self._history: deque[tuple[float, int, int]] = deque([(now, 0, 0)])

    def rates(self, now: float, requests: int, completed: int) -> tuple[float, float]:
        """Return requests and completed IDs a second, by the totals that there are at `now`."""
        history = self._history
        while len(history) > 1 and now - history[1][0] >= _WINDOW_S:
            history.popleft()
        then, requests_then, completed_then = history[0]
        history.append((now, requests, completed))
        span = now - then
        if span <= 0:
            return 0.0, 0.0
        return (requests - requests_then) / span, (completed - completed_then) / span
