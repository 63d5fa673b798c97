"""One worker's share of the account's rate and requests in flight, coordinated in the database.

A request leaves when four things hold, which are checked again at the moment when it goes onto its
connection (`send_slot`): a tick of the account's rate is due and not late, a slot is free, the
slot's lease outlasts the request, and there is no pause. Opening a connection may take long; the
turn is lost then, and the request waits for another one (fetcher.py).
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Self

from cxai.cluster.engine_clock import EngineClock
from cxai.cluster.limits import AccountLimits, Reserved
from cxai.cluster.pause import AccountPause
from cxai.cluster.rate_feedback import RateFeedback
from cxai.cluster.reservations import Reservations
from cxai.cluster.slots import BEAT_S, Slots
from cxai.core.ports import Clock
from cxai.errors import BlockedError
from cxai.governor.adaptive import IN_USE_S
from cxai.policy.table import Signal

_RETRY_S = 0.5  # seconds between two attempts to reach the database
_LOOK_S = 1.0  # the next tick is looked up at least this often, since the limits may have changed

_PAUSED_BY_OTHERS = "the API asked another worker for fewer requests"


class TurnLostError(Exception):
    """A request may no longer leave although it had its turn. Nothing of it was sent."""


class ClusterLimiter:
    """Adapter of ports.Limiter: one worker's share of the account's rate and requests in flight.

    While it is entered, slots are renewed, ticks reserved, and feedback shared. While the database
    can't be reached, nothing starts once the ticks in hand are used up. `acquire` raises any
    unexpected error of the background tasks. With `adaptive` off, refusals don't lower the rate.

    `rate` is how many requests per second all workers together may send now, `rate_limit` the most
    that this can be; until the database has been read, both are the `rate` given here.
    """

    def __init__(
        self,
        limits: AccountLimits,
        slots: Slots,
        clock: Clock,
        *,
        rate: float,
        adaptive: bool = True,
    ) -> None:
        self.slots = slots
        self._limits = limits
        self._now = clock.monotonic
        self._adaptive = adaptive
        engine_clock = EngineClock()
        self._reservations = Reservations(limits, clock, engine_clock)
        self._ticks = self._reservations.ticks
        self._turns_lost = 0  # requests that have their slot and wait for another turn
        self.rate = self.rate_limit = rate
        self._used_at = -math.inf
        self._pause = AccountPause()
        self._lacks_slot = False  # a request waits for one, and others have them all
        self._urgent = asyncio.Event()
        self._feedback = RateFeedback(limits, engine_clock, self._urgent)
        self._changed = asyncio.Event()
        self._wants_ticks = asyncio.Event()
        self._failure: Exception | None = None
        self._tasks: list[asyncio.Task[None]] = []
        slots.on_change = self._changed.set

    async def __aenter__(self) -> Self:
        works = {"slots": self.slots.keep(), "ticks": self._reserve(), "pace": self._share()}
        self._tasks = [
            asyncio.create_task(self._watched(work), name=f"account-{name}")
            for name, work in works.items()
        ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        with contextlib.suppress(BlockedError):  # they are free again when their lease expires
            await self.slots.give_back()

    # --- what a run shows ---

    @property
    def paused(self) -> tuple[float, str] | None:
        left_s = self._pause.left_s(self._now())
        return (left_s, self._pause.why) if left_s else None

    @property
    def cause(self) -> str:
        """Why the database that holds the limits can't be reached, empty if it can."""
        return self._limits.cause

    @property
    def waits_for(self) -> str:
        """What requests wait for other than the rate or a pause, in words; empty if nothing."""
        if self.cause:
            return f"the database of the account's limits: {self.cause}"
        if self.slots.total and self._lacks_slot:
            return f"a slot: other workers hold all of them ({self.slots.total})"
        return ""

    # --- turns ---

    async def acquire(self, is_wanted: Callable[[], bool]) -> bool:
        return await self._turn(is_wanted, self.slots.can_start)

    async def another_turn(self) -> None:
        """Return when a request that has its slot, and lost its turn, may leave."""
        self._turns_lost += 1
        try:
            await self._turn(lambda: True, lambda: self.slots.outlasts_a_request)
        finally:
            self._turns_lost -= 1

    async def send_slot(self) -> None:
        """Raise TurnLostError unless a request may go onto its connection at this moment."""
        if not (self.slots.outlasts_a_request and self._ticks.send_slot(self._now())):
            raise TurnLostError

    def pause(self, seconds: float, why: str) -> None:
        if self._pause_until(self._now() + seconds, why, shared=False):
            self._urgent.set()

    def _pause_until(self, until_s: float, why: str, *, shared: bool) -> bool:
        if is_longer := self._pause.extend(until_s, why, shared=shared):
            self._ticks.drop()  # also those of requests that have not left yet
        return is_longer

    async def _turn(self, is_wanted: Callable[[], bool], can_start: Callable[[], bool]) -> bool:
        while is_wanted():
            if self._failure is not None:
                raise self._failure
            now = self._now()
            wait_s: float | None = self._pause.left_s(now)
            if wait_s == 0:
                may_start = can_start()
                self._lacks_slot = not (may_start or self.slots.usable)
                wait_s = self._tick_wait_s(now) if may_start else None
            if wait_s == 0:
                self._ticks.take()
                return True
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
        self._lacks_slot = False
        return False

    def _tick_wait_s(self, now: float) -> float | None:
        wait_s = self._ticks.wait_s(now)
        if self._ticks.reach_s(now) < self._reservations.lead_s:
            self._wants_ticks.set()
        return wait_s

    # --- what replies reveal about the API's limit ---

    def learn(self, signal: Signal, left_s: float) -> None:
        self._learn(signal, (left_s,))
        self._changed.set()

    def learn_answers(self, left_s: Sequence[float]) -> None:
        self._learn(Signal.ANSWERED, left_s)

    def _learn(self, signal: Signal, left_s: Sequence[float]) -> None:
        if self._adaptive:
            now = self._now()
            in_use = now - self._used_at < IN_USE_S
            for left in left_s:
                self._feedback.learn(signal, left, now, in_use=in_use)

    def note_overload(self, left_s: float) -> None:
        if self._adaptive:
            self._feedback.note_overload(left_s, self._now())

    def restore(self) -> None:
        self._feedback.restore()

    # --- background tasks ---

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - raised again, from `acquire`
            self._failure = error
            self._changed.set()

    async def _reserve(self) -> None:
        """Keep ticks at hand as long as requests wait for them."""
        while True:
            await self._wants_ticks.wait()
            self._wants_ticks.clear()
            startable = self.slots.free_within(self._reservations.lead_s) + self._turns_lost
            if self.paused or (most := self._reservations.most(startable)) < 1:
                continue
            try:
                reserved = await self._reservations.reserve(most)
            except BlockedError:
                await asyncio.sleep(_RETRY_S)
            else:
                self._note(reserved)
                if not reserved.granted:
                    await asyncio.sleep(min(reserved.wait_s, _LOOK_S))
            self._changed.set()

    def _note(self, reserved: Reserved) -> None:
        now = self._now()
        self.rate, self.rate_limit = reserved.rate_allowed, reserved.rate_limit
        self._feedback.is_needed |= reserved.has_learned
        if reserved.is_in_use:
            self._used_at = now
        if reserved.paused_s > 0:
            self._pause_until(now + reserved.paused_s, _PAUSED_BY_OTHERS, shared=True)
        if self.paused:
            self._ticks.drop()

    async def _share(self) -> None:
        """Share pauses and refusals immediately, other feedback once a beat."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._urgent.wait()
            self._urgent.clear()
            try:
                await self._pause.share(self._limits, self._now)
                rate = await self._feedback.merge(self._now)
            except BlockedError:
                await asyncio.sleep(_RETRY_S)
                self._urgent.set()
            else:
                self.rate = self.rate if rate is None else rate
                self._changed.set()
