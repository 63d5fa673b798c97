"""Acts on the judgement of `health.py`: what leaves when, which verdicts are held, when to stop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from cxai.core.backlog import Backlog, Item
from cxai.core.entry import Entry
from cxai.core.governor_ports import Limiter
from cxai.core.ports import Clock
from cxai.errors import CxaiError
from cxai.governor.budget import RetryBudget
from cxai.governor.canary import Canary
from cxai.governor.health import Health, HealthSettings, State
from cxai.governor.held import Held
from cxai.governor.news import News
from cxai.governor.patience import Patience, PatienceSettings
from cxai.governor.trouble import Trouble
from cxai.policy.reply import ParsedReply, Record
from cxai.policy.step import Ask, Settle
from cxai.policy.table import Signal
from cxai.policy.words import OVERLOADS, kind

_MAX_DOUBLINGS = 16


class Governor:
    """Adapter of governor_ports.Governor, over the items of a `backlog`.

    `renew` returns whether there is another token. `api` is the API's address, for messages.
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
        self._in_flight = 0
        self._first_left_s: float | None = None
        self._trouble = Trouble(api)
        self._probe: Item | None = None
        self._canary = Canary()
        self._held_back: dict[Item, Settle] = {}
        self._has_all = False

    # --- for the state of the run ---

    @property
    def trouble(self) -> str | None:
        """How the last request failed, None if the API has answered since."""
        return self._trouble.last

    @property
    def advice(self) -> str:
        """What to check about the trouble, in whole sentences."""
        return self._trouble.advice

    @property
    def outage_s(self) -> float | None:
        """Seconds since the outage began, None if there is none."""
        is_down = self.health.state is State.DOWN
        return self._clock.monotonic() - self.health.since if is_down else None

    @property
    def unanswered_s(self) -> float | None:
        """Seconds since the first request left, None before it and once the API has answered."""
        if self._first_left_s is None or self.has_answered:
            return None
        return self._clock.monotonic() - self._first_left_s

    # --- what leaves, and when ---

    def begin(self, stop: Callable[[CxaiError], None]) -> None:
        self._stop = stop

    async def next_to_leave(self) -> Item:
        async with self._turn:
            while True:
                self._news.clear()
                if await self._limiter.acquire(lambda: self._wait_s() == 0):
                    return self._leave()
                await self._news.within(self._wait_s())

    def _wait_s(self) -> float | None:
        """Return how long the next request has to wait, None to wait for news."""
        if self.health.state is State.UP:
            return 0.0 if self._backlog.ready else None
        if self._probe is not None or not self._has_probe():
            return None
        return self.health.wait_s(self._clock.monotonic())

    def _has_probe(self) -> bool:
        """Whether there is any request whose answer would show the state of the API."""
        if self._canary.is_known:
            return True
        if self.health.doubts_token:  # the token was refused for all but the new IDs
            return self._backlog.has_other
        return self._backlog.ready > 0 or bool(self._held_back)

    def _leave(self) -> Item:
        if self.health.state is State.UP:
            item = self._backlog.take()
        else:
            item = self._probe = self._next_probe()
        item.requests += 1
        item.endpoint, item.left_s = item.job.endpoint, self._clock.monotonic()
        if self._first_left_s is None:
            self._first_left_s = item.left_s
        self._in_flight += 1
        return item

    def _next_probe(self) -> Item:
        """Return the request that shows best whether the API answers."""
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
        return self.health.rounds_before(item.left_s)

    def note_answered(self, entry: Entry) -> None:
        self._canary.suggest(entry)
        self._patience.has_met = self.health.has_canary = True

    def requeue(self, item: Item, ask: Ask, signal: Signal) -> None:
        delay_s, behind = ask.delay_s, 0
        if ask.pause_s is not None:
            self._limiter.pause(ask.pause_s, "the API asked for fewer requests")
            behind = self._others_first(item)
        elif signal is not Signal.ANSWERED and not item.is_canary:
            delay_s = max(delay_s, self._budget.spend(self._clock.monotonic()))
        if not item.is_canary:
            self._backlog.requeue(item, delay_s, behind=behind)

    def _others_first(self, item: Item) -> int:
        """Return behind how many others a refused item is queued: they show whether it is alone.

        Until anything is answered that doubles each round, or the same few would alternate forever.
        """
        rounds = 0 if self._canary.is_known else self.refused_rounds(item)
        return self.health.settings.others << min(rounds, _MAX_DOUBLINGS)

    def hold_back(self, item: Item, verdict: Settle) -> None:
        self._held_back[item] = verdict

    def learn(self, item: Item, seen: ParsedReply, signal: Signal) -> Sequence[tuple[Item, Settle]]:
        now = self._clock.monotonic()
        self._in_flight -= 1
        is_probe = item is self._probe
        if is_probe:
            self._probe = None
        was_up = self.health.state is State.UP
        is_answer = signal is Signal.ANSWERED
        of, how = None if item.is_canary else item, "" if is_answer else kind(seen)
        found = self.health.learn(signal, how, of, item.left_s, now, is_probe=is_probe)
        is_up = self.health.state is State.UP
        if is_answer:
            self._note_answer(item, seen, is_over=was_up or is_up)
        else:
            self._note_trouble(item, seen, signal)
        if found.refused_alone:
            self._limiter.restore()
        self._limiter.learn(signal, item.left_s)
        if found.was_short in OVERLOADS:  # an overload rather than an outage
            self._limiter.learn(Signal.THROTTLED, item.left_s)
        verdicts = self._charge(found.charged)
        self._forgive(found.forgiven)
        if found.token_refused:
            self._renew_or_stop()
        if self._in_flight == 0:
            self._check_when_idle()
        if not (was_up and is_up):
            self._news.set()
        return verdicts

    @property
    def is_calm(self) -> bool:
        return self.health.is_calm and self._probe is None

    def learn_results(self, results: Sequence[tuple[Item, Record]]) -> None:
        self._in_flight -= len(results)
        self.health.learn_answers(len(results))
        self._note_answer(*results[-1], is_over=True)
        self._limiter.learn_answers([item.left_s for item, _ in results])

    def input_ended(self) -> None:
        self._has_all = True
        if self._in_flight == 0:
            self._check_when_idle()

    def rest(self) -> None:
        self._patience.reset()

    def _note_answer(self, item: Item, seen: ParsedReply, *, is_over: bool) -> None:
        if not item.is_canary:
            self._canary.note_answer(item, seen)
        self.has_answered = self._trouble.has_replied = True
        self._patience.has_met = self.health.has_canary = True
        self._patience.reset()
        if is_over:  # else it is a late answer, from before the outage
            self._trouble.last = None

    def _note_trouble(self, item: Item, seen: ParsedReply, signal: Signal) -> None:
        self._trouble.note(item, seen, signal)
        self._patience.has_met |= signal is Signal.THROTTLED
        # Without any answer yet, the wait for this failure was a wait for the first answer.
        self._patience.begin(self._clock.monotonic() if self.has_answered else item.left_s)

    # --- the API's failures, or an ID's ---

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
                self._backlog.requeue(item, 0)

    def _check_when_idle(self) -> None:
        """With nothing in flight, see whether any request is left that could end a doubt."""
        if self.health.doubts_token and self._has_all and not self._has_probe():
            self._renew_or_stop()
        if self._held_back and not self._backlog.ready:
            self.health.idle(self._clock.monotonic())
            self._news.set()

    # --- when to give up ---

    def _renew_or_stop(self) -> None:
        """Continue with another token, or stop the run with no ID marked."""
        if self._renew():
            self._forgive(self.health.renewed(self._clock.monotonic()))
            self._news.set()
        else:
            self._stop(self._trouble.token_refused())

    def _give_up(self) -> None:
        self._stop(self._trouble.lasted(self._patience.limit_s))
