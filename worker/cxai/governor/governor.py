"""Lets requests leave, one by one, and decides whose trouble a failure is.

All that is judged here is judged by `health.py`; this file acts on it: what may leave next, which
verdicts are held back, how fast, and when to give up.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from cxai.core.backlog import Backlog, Item
from cxai.core.entry import Entry
from cxai.core.ports import Clock, Limiter
from cxai.errors import CxaiError, StopCause, StoppedError, TokenRefusedError
from cxai.governor.budget import RetryBudget
from cxai.governor.canary import Canary
from cxai.governor.health import Health, HealthSettings, Held, State
from cxai.governor.news import News
from cxai.governor.patience import Patience, PatienceSettings
from cxai.policy.reply import Failure, ParsedReply, Record
from cxai.policy.step import Ask, Settle
from cxai.policy.table import Signal
from cxai.policy.words import OVERLOADS, advice, kind, reason, words

_MOST_DOUBLINGS = 16


class Governor:
    """Adapter of ports.Governor for one pipeline.

    `backlog` is where items come from. `renew` looks for another token. `api` is where the API is,
    for people. `trouble` says how the last request failed, None if the API has answered since;
    `advice` what to check about that, in whole sentences.
    """

    def __init__(
        self,
        backlog: Backlog,
        limiter: Limiter,
        clock: Clock,
        *,
        renew: Callable[[], bool],
        retries_per_s: float,
        health: HealthSettings,
        patience: PatienceSettings,
        api: str = "",
    ) -> None:
        self.health: Health[Item] = Health(health)
        self.trouble: str | None = None
        self.advice = ""
        self.has_answered = False
        self._backlog = backlog
        self._limiter = limiter
        self._clock = clock
        self._renew = renew
        self._budget = RetryBudget(retries_per_s)
        self._patience = Patience(patience, clock, self._give_up)
        self.api = api
        self._stop: Callable[[CxaiError], None] = lambda _why: None
        self._turn = asyncio.Lock()
        self._news = News()
        backlog.on_ready = self._news.set
        self._under_way = 0
        self._first_left_s: float | None = None
        self._has_replied = False
        self._probe: Item | None = None
        self._canary = Canary()
        self._held_back: dict[Item, Settle] = {}
        self._has_all = False
        self._token_words = ""

    # --- what a person may see ---

    @property
    def outage_s(self) -> float | None:
        """Seconds since the API was found down, None if it isn't."""
        is_down = self.health.state is State.DOWN
        return self._clock.monotonic() - self.health.since if is_down else None

    @property
    def unanswered_s(self) -> float | None:
        """Seconds since the first request left, None before that and once the API has answered."""
        if self._first_left_s is None or self.has_answered:
            return None
        return self._clock.monotonic() - self._first_left_s

    # --- what leaves, and when ---

    def begin(self, stop: Callable[[CxaiError], None]) -> None:
        """Govern a run; `stop` ends it early."""
        self._stop = stop

    async def next_to_leave(self) -> Item:
        """Return the next item at the moment when its request may leave; first come, first served.

        As a rule that is the next of the backlog. While the API is in doubt or down it is a canary,
        one at a time. What is returned has to come back through `learn`.
        """
        async with self._turn:
            while True:
                self._news.clear()
                if await self._limiter.acquire(self._may_leave):
                    return self._leave()
                await self._news.within(self._wait_s())

    def _wait_s(self) -> float | None:
        """Return how long the next request has to wait, None for until there is news."""
        if self.health.state is State.UP:
            return 0.0 if self._backlog.ready else None
        if self._probe is not None or not self._can_tell():
            return None
        return self.health.wait_s(self._clock.monotonic())

    def _can_tell(self) -> bool:
        """Whether there is anything whose answer would tell about the API."""
        if self._canary.is_known:
            return True
        if self.health.doubts_token:  # an ID for which it was refused says nothing new
            return self._backlog.has_other
        return self._backlog.ready > 0 or bool(self._held_back)

    def _may_leave(self) -> bool:
        return self._wait_s() == 0

    def _leave(self) -> Item:
        if self.health.state is State.UP:
            item = self._backlog.take()
        else:
            item = self._probe = self._next_probe()
        item.requests += 1
        item.asked, item.left_s = item.job.endpoint, self._clock.monotonic()
        if self._first_left_s is None:
            self._first_left_s = item.left_s
        self._under_way += 1
        return item

    def _next_probe(self) -> Item:
        """Return what can tell best whether the API answers: the canary, or an ordinary item."""
        is_down = self.health.state is State.DOWN
        canary = self._canary.next(or_other=is_down and self._backlog.ready > 0)
        if (item := canary or self._backlog.take_other()) is not None:
            return item
        if self._backlog.ready:
            return self._backlog.take()
        item = next(iter(self._held_back))
        del self._held_back[item]
        return item

    # --- what came back ---

    def refused_rounds(self, item: Item) -> int:
        """Return how many rounds of refusals by a limit came before this item's request."""
        return self.health.rounds_before(item.left_s)

    def know_answered(self, entry: Entry) -> None:
        """Note an ID whose result an earlier run has."""
        self._canary.know(entry)
        self._patience.has_met = self.health.has_canary = True

    def ask_again(self, item: Item, ask: Ask, signal: Signal) -> None:
        """Offer an item again when policy, limit and the budget of retries allow it."""
        if ask.pause_s is not None:
            self._limiter.pause(ask.pause_s, "the API asked for fewer requests")
            if not item.is_canary:
                self._backlog.again(item, ask.delay_s, behind=self._others_first(item))
        elif not item.is_canary:
            delay_s = ask.delay_s
            if signal is not Signal.ANSWERED:
                delay_s = max(delay_s, self._budget.spend(self._clock.monotonic()))
            self._backlog.again(item, delay_s)

    def _others_first(self, item: Item) -> int:
        """Return behind how many others a refused item goes: they show whether it is alone.

        Until anything was answered, behind ever more of them: else the same few would be asked in
        turns for ever.
        """
        others = self.health.settings.others
        if self._canary.is_known:
            return others
        return others << min(self.refused_rounds(item), _MOST_DOUBLINGS)

    def hold_back(self, item: Item, verdict: Settle) -> None:
        """Hold a verdict back that the API has not given: the trouble may be the API's own."""
        self._held_back[item] = verdict

    def learn(self, item: Item, seen: ParsedReply, signal: Signal) -> Sequence[tuple[Item, Settle]]:
        """Note what came back for an item; return the verdicts that are held back no longer."""
        now = self._clock.monotonic()
        self._under_way -= 1
        is_probe = item is self._probe
        if is_probe:
            self._probe = None
        was_up = self.health.state is State.UP
        is_answer = signal is Signal.ANSWERED
        news = self.health.learn(
            signal,
            "" if is_answer else kind(seen),
            None if item.is_canary else item,
            item.left_s,
            now,
            is_probe=is_probe,
        )
        is_up = self.health.state is State.UP
        if is_answer:
            self._note_answer(item, seen, is_over=was_up or is_up)
        else:
            self._note_trouble(item, seen, signal)
        if news.refused_alone:
            self._limiter.restore()
        self._limiter.learn(signal, item.left_s)
        if news.was_short in OVERLOADS:  # no outage, but more than the API can take
            self._limiter.learn(Signal.THROTTLED, item.left_s)
        verdicts = self._charge(news.charged)
        self._forgive(news.forgiven)
        if news.token_refused:
            self._renew_or_stop()
        if self._under_way == 0:
            self._look_when_idle()
        if not (was_up and is_up):
            self._news.set()
        return verdicts

    @property
    def is_calm(self) -> bool:
        """Whether the API is up and nothing else is to be found out about it."""
        return self.health.is_calm and self._probe is None

    def learn_results(self, results: Sequence[tuple[Item, Record]]) -> None:
        """Do as `learn` does for results of ordinary requests. Only while `is_calm`."""
        self._under_way -= len(results)
        self.health.learn_answers(len(results))
        self._note_answer(*results[-1], is_over=True)
        self._limiter.learn_answers([item.left_s for item, _ in results])

    def input_ended(self) -> None:
        """Note that no new item comes any more."""
        self._has_all = True
        if self._under_way == 0:
            self._look_when_idle()

    def rest(self) -> None:
        """Note that nothing waits for the API, for the time being or at the end."""
        self._patience.reset()

    def _note_answer(self, item: Item, seen: ParsedReply, *, is_over: bool) -> None:
        if not item.is_canary:
            self._canary.note_answer(item, seen)
        self.has_answered = self._has_replied = True
        self._patience.has_met = self.health.has_canary = True
        self._patience.reset()
        if is_over:  # else it is a late answer, from before the outage
            self.trouble = None

    def _note_trouble(self, item: Item, seen: ParsedReply, signal: Signal) -> None:
        self._has_replied |= not isinstance(seen, Failure) or seen.status is not None
        self._patience.has_met |= signal is Signal.THROTTLED
        # Without any answer yet, the wait for this failure was a wait for the first answer.
        self._patience.begin(self._clock.monotonic() if self.has_answered else item.left_s)
        self.trouble, self.advice = words(seen, item.entry.id), advice(seen)
        if signal is Signal.TOKEN_REFUSED:
            message = (item.job.said.message or "").rstrip(". ")
            said = f"{reason(seen)}: {message}" if message else reason(seen)
            self._token_words = f"{said}, for {item.entry.id}"

    # --- whose trouble it is ---

    def _charge(self, charged: Sequence[Held[Item]]) -> list[tuple[Item, Settle]]:
        verdicts = []
        for held in charged:
            item = held.item
            if held.is_throttled:
                item.job = replace(item.job, refusals=item.job.refusals + 1)
            item.certain = item.job
            if OVERLOADS & held.kinds.keys():
                self._limiter.note_overload(held.since)
            if (verdict := self._held_back.pop(item, None)) is not None:
                verdicts.append((item, verdict))
        return verdicts

    def _forgive(self, forgiven: Sequence[Held[Item]]) -> None:
        for held in forgiven:
            item, certain = held.item, held.item.certain
            item.job = replace(item.job, attempts=certain.attempts, failing_as=certain.failing_as)
            if self._held_back.pop(item, None) is not None:
                self._backlog.again(item, 0)

    def _look_when_idle(self) -> None:
        """With nothing under way: see whether anything is left that could tell."""
        if self.health.doubts_token and self._has_all and not self._can_tell():
            self._renew_or_stop()
        if self._backlog.ready:
            return
        if self._held_back:
            self.health.idle(self._clock.monotonic())
            self._news.set()

    # --- when to give up ---

    def _renew_or_stop(self) -> None:
        """Go on if there is another token than the refused one, else stop with nothing marked."""
        if self._renew():
            self._forgive(self.health.renewed(self._clock.monotonic()).forgiven)
            self._news.set()
            return
        self._stop(
            TokenRefusedError(
                f"The API refused the token ({self._token_words}). No ID was given a verdict for"
                " it: put the right token in place and run the same command again."
            )
        )

    def _give_up(self) -> None:
        limit_s = self._patience.limit_s
        where = f"The API at {self.api}" if self.api else "The API"
        what = (
            "has refused or failed all requests for"
            if self._has_replied
            else "has not replied once in"
        )
        self._stop(
            StoppedError(
                f"{where} {what} {limit_s:.0f} s (the last: {self.trouble})."
                f"{' ' * bool(self.advice)}{self.advice}"
                " Nothing is lost: run the same command again when it is back.",
                StopCause.API,
            )
        )
