"""The pace of one process: even spacing, a hard account of the window, a pause for everyone."""

import asyncio
import contextlib
import math
from dataclasses import dataclass, replace

from asyncio_throttle.throttler import Throttler

from cxai.core.ports import Clock
from cxai.governor.aimd import Aimd
from cxai.governor.breaker import Breaker, BreakerRules
from cxai.governor.overload import Finding, Overload
from cxai.governor.pacing import MARGIN, Schedule, Window
from cxai.policy.policy import Effect

# asyncio-throttle polls for a free slot. Only one caller ever waits on it here, and only for what
# the schedule could not foresee, so a fine step costs nothing.
_ACCOUNT_STEP_S = 0.001

# Narrower than the schedule's, so that what comes as scheduled need not wait at the exit.
_EXIT_MARGIN = MARGIN / 2

# However often the API refuses, one request every ten seconds leaves to see whether it still does.
_LEAST_RATE = 0.1

# A limit that made somebody wait this short a time ago is the one that a refusal is about.
_IN_USE_S = 1.0

_DEFAULT_BREAKER = BreakerRules()


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What is never exceeded: `rate` requests per second (fractions too), `in_flight` at a time.

    With `adaptive`, both are lowered while the API refuses, and raised again while it doesn't.
    """

    rate: float
    in_flight: int
    burst: bool = False
    adaptive: bool = True


class LocalLimiter:
    """Adapter of ports.Limiter.

    Callers queue first come, first served; the one at the head sleeps until the exact moment of
    release. What is really sent is accounted once more, whatever came between release and
    sending: asyncio-throttle lets no more than `rate` requests go within any second (for a
    fraction: no more than floor(rate), at least one, within the time that these take), and a
    window no more than a tenth of that + 1 within a tenth of a second, unless bursts are asked for.
    """

    def __init__(
        self, ceilings: Ceilings, clock: Clock, breaker: BreakerRules = _DEFAULT_BREAKER
    ) -> None:
        rate = ceilings.rate
        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"rate must be above 0 and finite, not {rate}")
        per_window = max(1, math.floor(rate))
        self._now = clock.monotonic
        self._adaptive = ceilings.adaptive
        self._rate = Aimd(min(rate, _LEAST_RATE), rate)
        self._most = Aimd(1.0, float(ceilings.in_flight))
        self._schedule = Schedule(rate, burst=ceilings.burst)
        self._account = Throttler(
            per_window, per_window / rate * (1 + _EXIT_MARGIN), retry_interval=_ACCOUNT_STEP_S
        )
        self._spread = Window(rate, burst=ceilings.burst, margin=_EXIT_MARGIN)
        self._exit = asyncio.Lock()
        self._overload = Overload()
        self._before: tuple[Aimd, Aimd] | None = None
        self._breaker = Breaker(breaker)
        self._in_flight = 0
        self._rate_used_at = self._most_used_at = -math.inf
        self._queue = asyncio.Lock()
        self._news = asyncio.Event()
        self._paused_until = -math.inf
        self._paused_why = ""

    async def acquire(self) -> None:
        """Return when it is the caller's turn to send one request."""
        async with self._queue:
            while (wait := self._wait_s()) != 0:
                await self._wait_for_news(wait)
            self._schedule.leave(self._now())
            self._breaker.leave()
            self._in_flight += 1

    async def depart(self) -> None:
        """Return at the moment when a request whose turn it is may go onto its connection.

        Opening the connection may have taken long, so that requests which were released apart
        would now be sent together.
        """
        async with self._exit:  # one at a time: else the time would be out of date
            while (wait_s := self._spread.wait_s(self._now())) > 0:  # noqa: ASYNC110 - no event
                await asyncio.sleep(wait_s)
            await self._account.acquire()  # type: ignore[no-untyped-call]
            self._spread.leave(self._now())

    def release(self) -> None:
        """Note that a request is over, however it ended."""
        if self._in_flight >= self.most_in_flight and self._queue.locked():
            self._most_used_at = self._now()  # somebody has waited for this place
        self._in_flight -= 1
        self._news.set()

    def learn(self, effect: Effect, key: object, left_s: float) -> None:
        """Adapt to what a request for `key`, which left at `left_s`, tells of the API."""
        now = self._now()
        failed_probes = self._breaker.failed_probes
        if effect in (Effect.FAILED, Effect.OVERLOADED):
            self._breaker.failed(key, left_s, now)
        else:
            self._breaker.answered(left_s)
        if self._adaptive and not self._breaker.is_open:
            if failed_probes:  # not even one at a time was answered: it was no matter of limits
                self._take_back()
                self._overload.forget()
            self._adapt(effect, left_s, now)
        self._schedule.change(self._rate.value)
        self._news.set()

    def pause(self, seconds: float, why: str) -> None:
        """Give nobody a turn for `seconds` from now; never shortens a pause."""
        until = self._now() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self._paused_why = why

    @property
    def paused(self) -> tuple[float, str] | None:
        """Seconds that the pause still lasts and why, None if there is none."""
        left = self._paused_until - self._now()
        return (left, self._paused_why) if left > 0 else None

    @property
    def outage(self) -> bool:
        """Whether the API fails for everyone just now."""
        return self._breaker.is_open

    @property
    def outage_s(self) -> float | None:
        """Seconds since the API began to fail for everyone, None if it doesn't."""
        since = self._breaker.open_since
        return None if since is None else self._now() - since

    @property
    def rate(self) -> float:
        """Requests per second that are allowed now."""
        return self._rate.value

    @property
    def most_in_flight(self) -> int:
        """Requests at a time that are allowed now."""
        return int(self._most.value)

    def _wait_s(self) -> float | None:
        """Return how long the head of the queue has to wait, None for until there is news."""
        now = self._now()
        if self._in_flight >= self.most_in_flight:
            self._most_used_at = now
            return None
        if (probe_s := self._breaker.wait_s(now)) is None:
            return None
        paced_s = self._schedule.wait_s(now)
        if paced_s > 0:
            self._rate_used_at = now + paced_s
        return max(0.0, self._paused_until - now, probe_s, paced_s)

    async def _wait_for_news(self, at_most_s: float | None) -> None:
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._news.wait()

    def _adapt(self, effect: Effect, left_s: float, now: float) -> None:
        match effect:
            case Effect.REFUSED:
                self._cut(left_s, now)
            case Effect.OVERLOADED:
                match self._overload.overloaded(left_s, now):
                    case Finding.CUT:
                        if not self._overload.is_testing(now):
                            self._before = (replace(self._rate), replace(self._most))
                        if self._cut(left_s, now):
                            self._overload.cut(now)
                    case Finding.MISTAKEN:
                        self._take_back()
            case Effect.ANSWERED:
                self._rate.grow(now, in_use=now - self._rate_used_at < _IN_USE_S)
                self._most.grow(now, in_use=now - self._most_used_at < _IN_USE_S)
                self._overload.answered()
                if not self._overload.is_testing(now):
                    self._before = None

    def _cut(self, left_s: float, now: float) -> bool:
        """Blame the limit that was in use for a refusal, both if that can't be told."""
        rate_used = now - self._rate_used_at < _IN_USE_S
        most_used = now - self._most_used_at < _IN_USE_S
        cut_rate = (rate_used or not most_used) and self._rate.refuse(left_s, now)
        cut_most = (most_used or not rate_used) and self._most.refuse(left_s, now)
        return cut_rate or cut_most

    def _take_back(self) -> None:
        """Undo the cuts since the limits stood last."""
        if self._before is not None:
            self._rate, self._most = self._before
            self._before = None
