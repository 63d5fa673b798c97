"""What this worker learns of the API's own limit, folded into what all workers have learned."""

import asyncio
from collections.abc import Callable

from cxai.cluster.engine_clock import EngineClock
from cxai.cluster.limits import AccountLimits
from cxai.governor.adaptive import AdaptiveRate
from cxai.policy.table import Signal

Lesson = Callable[[AdaptiveRate, EngineClock], None]


class Lessons:
    """Lessons that are not in the database yet. Times are monotonic seconds.

    While no worker has anything to remember, answers are no lessons, and cost nothing. `urgent` is
    set when a lesson should not wait for the next beat.
    """

    def __init__(self, limits: AccountLimits, clock: EngineClock, urgent: asyncio.Event) -> None:
        self._limits = limits
        self._clock = clock
        self._urgent = urgent
        self._lessons: list[Lesson] = []
        self.all_have_learned = False

    def learn(self, signal: Signal, left_s: float, now: float, *, in_use: bool) -> None:
        """Note what the answer to a request that left at `left_s` says of the limit."""
        if signal is Signal.THROTTLED or (signal is Signal.ANSWERED and self.all_have_learned):
            self._lessons.append(
                lambda rate, clock: rate.learn(
                    signal, clock.to_engine(left_s), clock.to_engine(now), in_use=in_use
                )
            )
        if signal is Signal.THROTTLED:
            self._urgent.set()

    def note_overload(self, left_s: float, now: float) -> None:
        """Note an overload that was no outage."""
        self._lessons.append(
            lambda rate, clock: rate.note_overload(clock.to_engine(left_s), clock.to_engine(now))
        )
        self.all_have_learned = True
        self._urgent.set()

    def restore(self) -> None:
        """Take back what was lowered since the last answer."""
        if self.all_have_learned or self._lessons:
            self._lessons.append(lambda rate, _clock: rate.restore())
            self._urgent.set()

    async def fold(self, now: Callable[[], float]) -> float | None:
        """Fold all lessons into the database's row.

        Returns the rate that is allowed then, None if there was no lesson. Nothing is locked
        meanwhile: if another worker was faster, it begins with what that one has written. Raises
        BlockedError, and keeps the lessons; a refusal that was folded in already cuts nothing the
        second time.
        """
        lessons = tuple(self._lessons)
        if not lessons:
            return None
        is_folded = False
        while not is_folded:
            sent = now()
            learned = await self._limits.learned()
            self._clock.learn(sent, now(), learned.now_s)
            figures = None if learned.figures is None else tuple(learned.figures)
            rate = AdaptiveRate(learned.rate, figures=figures)
            for lesson in lessons:
                lesson(rate, self._clock)
            self.all_have_learned = not rate.is_at_rest(learned.now_s)
            kept = rate.figures if self.all_have_learned else None
            is_folded = kept == figures or await self._limits.adapt(
                learned.revision, rate.value, kept
            )
        del self._lessons[: len(lessons)]
        return rate.value
