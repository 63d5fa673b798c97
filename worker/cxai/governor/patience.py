"""How long a run waits for an API that answers nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cxai.core.ports import Clock


@dataclass(frozen=True, slots=True)
class PatienceSettings:
    """Seconds without a single answer after which a run is stopped.

    `start_s` holds until the API has answered anything or asked for fewer requests: a wrong host or
    gateway does not get better by waiting. `outage_s` holds from then on.
    """

    outage_s: float
    start_s: float


class Patience:
    """A timer that runs while the API is in trouble. `on_end` is called when it has run out.

    `has_met` is whether the API has shown itself, `limit_s` the patience that follows from that.
    """

    def __init__(
        self, settings: PatienceSettings, clock: Clock, on_end: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_end = on_end
        self._timer: asyncio.TimerHandle | None = None
        self._begun_s = 0.0
        self.has_met = False

    @property
    def limit_s(self) -> float:
        """Seconds without an answer after which the run is stopped."""
        outage_s = self._settings.outage_s
        return outage_s if self.has_met else min(self._settings.start_s, outage_s)

    def begin(self, since_s: float) -> None:
        """Note trouble since then (monotonic seconds), unless it has begun before."""
        if self._timer is None:
            self._begun_s = since_s
            self._look()

    def reset(self) -> None:
        """Forget the trouble: the API has answered, or nothing waits for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        # Timers and the clock may differ by a rounding error.
        left_s = self._begun_s + self.limit_s - self._clock.monotonic()
        if self._timer is not None and left_s <= 1e-6:  # noqa: PLR2004 - a microsecond
            self._on_end()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, left_s), self._look)
