"""What replies reveal about the API's own limit, merged into what all workers have learned."""

import asyncio
from collections.abc import Callable

from cxai.cluster.engine_clock import EngineClock
from cxai.cluster.limits import AccountLimits
from cxai.governor.adaptive import AdaptiveRate
from cxai.policy.table import Signal

_Change = Callable[[AdaptiveRate, EngineClock], None]


class RateFeedback:
    """Feedback that is not in the database yet. Times are monotonic seconds.

    `is_needed` is whether any worker has lowered the rate: until then, answers change nothing and
    are not kept. `urgent` is set when feedback should not wait for the next beat.
    """

    def __init__(self, limits: AccountLimits, clock: EngineClock, urgent: asyncio.Event) -> None:
        self._limits = limits
        self._clock = clock
        self._urgent = urgent
        self._changes: list[_Change] = []
        self.is_needed = False

    def learn(self, signal: Signal, left_s: float, now: float, *, in_use: bool) -> None:
        """Note the signal of a request that left at `left_s`."""
        if signal is Signal.THROTTLED or (signal is Signal.ANSWERED and self.is_needed):
            self._changes.append(
                lambda rate, clock: rate.learn(
                    signal, clock.to_engine(left_s), clock.to_engine(now), in_use=in_use
                )
            )
        if signal is Signal.THROTTLED:
            self._urgent.set()

    def note_overload(self, left_s: float, now: float) -> None:
        """Note an overload that was no outage."""
        self._changes.append(
            lambda rate, clock: rate.note_overload(clock.to_engine(left_s), clock.to_engine(now))
        )
        self.is_needed = True
        self._urgent.set()

    def restore(self) -> None:
        """Undo what was lowered since the last answer."""
        if self.is_needed or self._changes:
            self._changes.append(lambda rate, _clock: rate.restore())
            self._urgent.set()

    async def merge(self, now: Callable[[], float]) -> float | None:
        """Apply all feedback to the database's row; return the rate allowed then, None without any.

        If another worker was faster, it starts over from what that one has written. Raises
        BlockedError, and keeps the feedback; a refusal that is merged twice lowers the rate once.
        """
        changes = tuple(self._changes)
        if not changes:
            return None
        is_merged = False
        while not is_merged:
            sent = now()
            learned = await self._limits.learned()
            self._clock.learn(sent, now(), learned.now_s)
            figures = None if learned.figures is None else tuple(learned.figures)
            rate = AdaptiveRate(learned.rate, figures=figures)
            for change in changes:
                change(rate, self._clock)
            self.is_needed = not rate.is_at_rest(learned.now_s)
            kept = rate.figures if self.is_needed else None
            is_merged = kept == figures or await self._limits.adapt(
                learned.revision, rate.value, kept
            )
        del self._changes[: len(changes)]
        return rate.value
