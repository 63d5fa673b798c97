"""The pace of one process: even spacing, a hard account of the window, a pause for everyone."""

import asyncio
import math

from asyncio_throttle.throttler import Throttler

from worker.domain.pacing import MARGIN, Schedule
from worker.ports import Clock

# asyncio-throttle polls for a free slot. Only one caller ever waits on it here, and only for what
# the schedule could not foresee, so a fine step costs nothing.
_ACCOUNT_STEP_S = 0.001

# Narrower than the schedule's margin, so that an even flow never touches the account's limit.
_ACCOUNT_MARGIN = MARGIN / 2


class LocalLimiter:
    """Adapter of ports.Limiter.

    `rate` is requests per second (above 0, fractions too). Callers queue first come, first
    served; the one at the head sleeps until the exact moment of release. asyncio-throttle keeps
    the account of what was really sent: no more than `rate` requests within any second, whatever
    came between release and sending (for a fraction: no more than floor(rate), at least one,
    within the time that these take).
    """

    def __init__(self, rate: float, clock: Clock, *, burst: bool = False) -> None:
        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"rate must be above 0 and finite, not {rate}")
        per_window = max(1, math.floor(rate))
        self.rate = rate
        self._clock = clock
        self._schedule = Schedule(rate, burst=burst)
        self._account = Throttler(
            per_window, per_window / rate * (1 + _ACCOUNT_MARGIN), retry_interval=_ACCOUNT_STEP_S
        )
        self._queue = asyncio.Lock()
        self._paused_until = 0.0
        self._paused_why = ""

    async def acquire(self) -> None:
        """Return when it is the caller's turn to send one request."""
        async with self._queue:
            while (wait := self._wait_s()) > 0:  # noqa: ASYNC110 - a pause may have grown meanwhile
                await asyncio.sleep(wait)
            self._schedule.leave(self._clock.monotonic())

    async def depart(self) -> None:
        """Return at the moment when a request whose turn it is may go onto its connection.

        Opening the connection may have taken long, so that requests which were released apart
        would now be sent together.
        """
        await self._account.acquire()  # type: ignore[no-untyped-call]

    def pause(self, seconds: float, why: str) -> None:
        """Let nobody's request leave for `seconds` from now; never shortens a pause."""
        until = self._clock.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self._paused_why = why

    @property
    def paused(self) -> tuple[float, str] | None:
        """Seconds that the pause still lasts and why, None if there is none."""
        left = self._paused_until - self._clock.monotonic()
        return (left, self._paused_why) if left > 0 else None

    def _wait_s(self) -> float:
        now = self._clock.monotonic()
        return max(self._paused_until - now, self._schedule.wait_s(now))
