"""How long a run waits for an API that does not answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cxai.core.ports import Clock


@dataclass(frozen=True, slots=True)
class PatienceSettings:
    """Seconds without an answer after which a run is stopped.

    `start_s` applies until the API has answered or throttled a request, `outage_s` from then on.
    """

    outage_s: float
    start_s: float


class Patience:
    """A timer that runs while the API fails, and calls `on_exhausted` when it runs out.

    `has_met` is whether the API has answered or throttled a request.
    """

    def __init__(
        self, settings: PatienceSettings, clock: Clock, on_exhausted: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_exhausted = on_exhausted
        self._timer: asyncio.TimerHandle | None = None
        self._begun_s = 0.0
        self.has_met = False

    @property
    def limit_s(self) -> float:
        """Seconds without an answer after which the run is stopped now."""
        outage_s = self._settings.outage_s
        return outage_s if self.has_met else min(self._settings.start_s, outage_s)

    def begin(self, since_s: float) -> None:
        """Start the timer as of `since_s` (monotonic seconds), unless it runs already."""
        if self._timer is None:
            self._begun_s = since_s
            self._check()

    def reset(self) -> None:
        """Stop the timer: the API has answered, or nothing waits for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        # Timers and the clock may differ by a rounding error.
        left_s = self._begun_s + self.limit_s - self._clock.monotonic()
        if self._timer is not None and left_s <= 1e-6:  # noqa: PLR2004 - a microsecond
            self._on_exhausted()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, left_s), self._check)
