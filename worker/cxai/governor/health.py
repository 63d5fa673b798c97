"""What the replies of all IDs together tell of the API: whether it answers, refuses, or fails."""

import asyncio
from collections.abc import Callable

from cxai.core.backlog import Inquiry
from cxai.core.entry import Entry
from cxai.core.ports import Clock, Limiter
from cxai.policy.policy import (
    Effect,
    Standing,
    accepts_token,
    effect,
    is_readable,
    is_unreachable,
)
from cxai.policy.reply import Failure, Question, Reply, Trouble

# So many refusals of one ID, with others answered in between, are no limit that all share.
_REFUSALS_IN_A_ROW = 3

# Without an answer for so long, an ID that has its result is asked again; then ever so often.
_CONTROL_AFTER_S, _CONTROL_EVERY_S = 30.0, 120.0

# Characters of the API's words in a line that tells how things are.
_MOST_WORDS = 80


class Health:
    """The API's health as this run has met it; tells the limiter.

    `lose_patience` is called when the API has refused or failed everything for `patience_s`
    seconds; if not one reply has come yet, for `start_patience_s`. `in_flight` is the most requests
    under way at a time. `trouble` says how the last request failed or was refused, in our words and
    the API's; None if the API has answered since. `advice` says what to check.
    `has_replied` is whether there was any reply at all, `has_answered` whether one was an answer.
    """

    def __init__(
        self,
        limiter: Limiter,
        clock: Clock,
        *,
        in_flight: int,
        patience_s: float,
        start_patience_s: float,
        lose_patience: Callable[[], None],
    ) -> None:
        self._limiter = limiter
        self._clock = clock
        self._in_flight = in_flight
        self._patience_s = patience_s
        self._start_patience_s = start_patience_s
        self._lose_patience = lose_patience
        self._patience: asyncio.TimerHandle | None = None
        self._answers = 0
        self._refusals = 0  # one after another, without an answer in between
        self._refused_at = float("-inf")
        self._known_good: Entry | None = None
        self._control_due_at = float("inf")
        self._cleared_at = float("-inf")
        self.trouble: str | None = None
        self.advice = ""
        self.has_replied = self.has_answered = False

    @property
    def patience_s(self) -> float:
        """Seconds without an answer after which the run is stopped."""
        return self._patience_s if self.has_replied else self._start_patience_s

    def learn(self, inquiry: Inquiry, seen: Reply | Failure) -> None:
        """Note what came back for an inquiry."""
        what = effect(seen)
        if not self.has_replied and isinstance(seen, Reply):
            self.has_replied = True
            self.be_patient()
        failed = what in (Effect.FAILED, Effect.OVERLOADED)
        nobody_there = is_unreachable(seen)  # never an ID's own fault, so each request tells
        if nobody_there or not failed or not inquiry.suspect or self._limiter.outage:
            key = (inquiry.entry.key, inquiry.requests) if nobody_there else inquiry.entry.key
            self._limiter.learn(what, key, inquiry.left_s)
        if what is Effect.ANSWERED:
            self.has_answered = True
            if inquiry.is_control:
                self._control_due_at = float("inf")  # what was in doubt is settled by it
                if accepts_token(seen):
                    self._cleared_at = inquiry.left_s
            if is_readable(seen) and inquiry.question is Question.RESULT:
                self._known_good = inquiry.entry
            if not self._limiter.outage:  # else it is a late answer from before the outage
                self.trouble = None
            # A control speaks for all who would be answered if it were not for themselves.
            self._answers += self._in_flight if inquiry.is_control else 1
            self._refusals = 0
            return self.be_patient()
        self.trouble = _words(inquiry, seen)
        self.advice = seen.advice if isinstance(seen, Failure) else ""
        if what is Effect.REFUSED and inquiry.left_s > self._refused_at:
            # Those that left before were refused by the same limit at the same time.
            self._refusals += 1
            self._refused_at = self._clock.monotonic()
        if self._patience is None:
            loop = asyncio.get_running_loop()
            now = self._clock.monotonic()
            # Without any reply yet, the wait for this failure was a wait for the first reply.
            waited_s = 0.0 if self.has_replied else now - inquiry.left_s
            left_s = max(0.0, self.patience_s - waited_s)
            self._patience = loop.call_later(left_s, self._lose_patience)
            self._control_due_at = now + _CONTROL_AFTER_S
        return None

    def control(self) -> Inquiry | None:
        """Return what is to be asked now instead of anything else, None as a rule.

        If nothing is answered any more, either the API is in trouble or all that is left is. An ID
        that has been answered before can tell: with its answer an outage ends, and who is refused
        or fails next does so for a reason of its own.
        """
        now = self._clock.monotonic()
        if now < self._control_due_at or self._known_good is None:
            return None
        self._control_due_at = now + _CONTROL_EVERY_S
        return Inquiry(self._known_good, is_control=True, requests=1)

    def is_cleared(self, inquiry: Inquiry) -> bool | None:
        """Whether the token was good for a control after it was refused for this inquiry.

        None if nothing can tell. If it is not known yet, a control is asked next.
        """
        if self._known_good is None:
            return None
        if inquiry.doubted_at is None:
            inquiry.doubted_at = self._clock.monotonic()
        elif self._cleared_at > inquiry.doubted_at:
            return True
        self._control_due_at = min(self._control_due_at, self._clock.monotonic())
        return False

    def throttle(self, inquiry: Inquiry, pause_s: float) -> None:
        """Let everyone pause because the API has refused this inquiry's request."""
        inquiry.throttled += 1
        inquiry.answers_before = self._answers
        self._limiter.pause(pause_s, "the API asked for fewer requests")

    def standing(self, inquiry: Inquiry) -> Standing:
        """Return what the policy has to know of an inquiry that has just come back."""
        return inquiry.standing(
            self._clock.monotonic(),
            refusals=self._refusals,
            outage=self._limiter.outage,
            singled_out=inquiry.throttled >= _REFUSALS_IN_A_ROW
            and self._answers - inquiry.answers_before >= self._in_flight,
        )

    def be_patient(self) -> None:
        """Begin to wait anew: the API has answered, or nobody waits for it."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._control_due_at = float("inf")


def _words(inquiry: Inquiry, seen: Reply | Failure) -> str:
    """Say how a request failed, with the API's own words if there are any, shortened."""
    if isinstance(seen, Reply):
        words = inquiry.words
        return f"HTTP {seen.status}: {words[:_MOST_WORDS]}" if words else f"HTTP {seen.status}"
    if seen.trouble is Trouble.BROKEN_OFF:
        return f"connection broken off: {seen.reason}"
    return seen.reason
