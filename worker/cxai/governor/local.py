"""The rate limiter of one process: even spacing, a hard window, a pause for all requests."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asyncio_throttle.throttler import Throttler

from cxai.core.ports import Clock
from cxai.governor.adaptive import IN_USE_S, AdaptiveRate
from cxai.governor.news import News
from cxai.governor.pacing import EXIT_MARGIN, Exit, Schedule, to_next_tick_s
from cxai.policy.table import Signal

# asyncio-throttle polls for a free slot: one caller at a time, and rarely. That costs nothing.
_POLL_S = 0.001


@dataclass(frozen=True, slots=True)
class RateSettings:
    """`rate` is requests per second, fractions allowed, and is never exceeded.

    It is `adaptive` if lowered while the API throttles; a `burst` is not spaced within a second.
    """

    rate: float
    burst: bool
    adaptive: bool


class LocalLimiter:
    """Adapter of governor_ports.Limiter.

    When a request is really sent, `send_slot` counts it again, with Exit (pacing.py) and with
    asyncio-throttle, which has the last word: `rate` requests per second, counted as they leave.
    """

    def __init__(self, ceilings: RateSettings, clock: Clock) -> None:
        rate = ceilings.rate
        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"rate must be above 0 and finite, not {rate}")
        per_window = max(1, math.floor(rate))
        self._now = clock.monotonic
        self._rate = AdaptiveRate(rate, adaptive=ceilings.adaptive)
        self._schedule = Schedule(rate, burst=ceilings.burst)
        self._account = Throttler(
            per_window, per_window / rate * (1 + EXIT_MARGIN), retry_interval=_POLL_S
        )
        self._exit = Exit(rate, burst=ceilings.burst)
        self._at_exit = asyncio.Lock()
        self._used_at = -math.inf
        self._news = News()
        self._paused_until = -math.inf
        self._paused_why = ""

    async def acquire(self, is_wanted: Callable[[], bool]) -> bool:
        while is_wanted():
            now = self._now()
            if (wait_s := self._wait_s(now)) <= 0:
                self._schedule.leave(now)
                return True
            if wait_s > self._schedule.bound_s(now):
                wait_s = to_next_tick_s(now, wait_s)
            self._news.clear()
            await self._news.within(wait_s)
        return False

    async def send_slot(self) -> None:
        """Wait until a request that was acquired may be sent on its connection.

        Evenly spaced requests would leave together if their connections took long to open.
        """
        async with self._at_exit:  # one at a time, or `now` would be out of date
            while (wait_s := self._exit.wait_s(self._now())) > 0:  # noqa: ASYNC110 - no event
                await asyncio.sleep(wait_s)
            await self._account.acquire()  # type: ignore[no-untyped-call]
            self._exit.leave(self._now())
        if self._exit.unsent == 1:  # the socket is written before the loop's next turn
            asyncio.get_running_loop().call_soon(lambda: self._exit.sent(self._now()))

    def learn(self, signal: Signal, left_s: float) -> None:
        now = self._now()
        self._rate.learn(signal, left_s, now, in_use=now - self._used_at < IN_USE_S)
        self._follow()

    def learn_answers(self, left_s: Sequence[float]) -> None:
        before, now = self._rate.value, self._now()
        in_use = now - self._used_at < IN_USE_S
        for left in left_s:
            self._rate.learn(Signal.ANSWERED, left, now, in_use=in_use)
        if self._rate.value != before:
            self._follow()

    def note_overload(self, left_s: float) -> None:
        self._rate.note_overload(left_s, self._now())
        self._follow()

    def restore(self) -> None:
        self._rate.restore()
        self._follow()

    def pause(self, seconds: float, why: str) -> None:
        until = self._now() + seconds
        if until > self._paused_until:
            self._paused_until, self._paused_why = until, why

    @property
    def paused(self) -> tuple[float, str] | None:
        """Remaining seconds of the pause and the reason for it, None if there is no pause."""
        left = self._paused_until - self._now()
        return (left, self._paused_why) if left > 0 else None

    @property
    def rate(self) -> float:
        """Requests per second that are allowed now."""
        return self._rate.value

    def _wait_s(self, now: float) -> float:
        paced_s = self._schedule.wait_s(now)
        if paced_s > 0:
            self._used_at = now + paced_s
        return max(self._paused_until - now, paced_s)

    def _follow(self) -> None:
        self._schedule.change(self._rate.value)
        self._news.set()
