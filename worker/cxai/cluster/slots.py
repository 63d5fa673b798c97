"""How many requests of this worker may be in flight: slots of the account, held for a while."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cxai.cluster.limits import AccountLimits
from cxai.core.ports import Clock
from cxai.errors import BlockedError

RESERVE_S = 10.0
"""A lease outlasts a request by this: for so long the engine may be away before requests stop."""

BEAT_S = 1.0

# A worker that is silent for so many beats has no share of the slots that are free.
_LIVE_BEATS = 5

# A worker that has run dry asks at once, but no more often than this.
_GAP_S = 0.1

# How long requests take is the mean of about so many.
_LATEST = 10

# So many times the slots that were needed are asked for, so that several ticks can be used at once.
_AHEAD = 2

# More than an account ever has.
_ALL = 1 << 30


class Slots:
    """This worker's slots. Each request in flight needs one, and its lease outlasts the request.

    A lease is counted from before the message that renewed it was sent, so this worker always
    believes it to be shorter than the engine does. Slots are held by number, but used by count:
    what is given up is no longer counted when the message that gives it up is sent.

    `total_timeout_s` is the longest that a request takes. `on_change` is called whenever a request
    may start that could not before. `in_flight` counts those that are under way.
    """

    def __init__(
        self,
        limits: AccountLimits,
        worker: int,
        clock: Clock,
        *,
        total_timeout_s: float,
        reserve_s: float = RESERVE_S,
        beat_s: float = BEAT_S,
    ) -> None:
        self._limits = limits
        self._worker = worker
        self._now = clock.monotonic
        self._total_timeout_s = total_timeout_s
        self._ttl_s = total_timeout_s + reserve_s
        self._beat_s = beat_s
        self.on_change: Callable[[], None] = lambda: None
        self.in_flight = 0
        self._held: list[int] = []
        self._may_use = 0
        self._total = 0
        self._leased_until = -math.inf
        self._beats = 0
        self._peak = 0  # in flight since the last beat
        self._ran_dry = False  # since the last beat
        self._wanted = 0  # as the engine knows
        self._took_s = 0.0  # a request of late
        self._hurry = asyncio.Event()
        self._freed = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more requests may start now."""
        return max(0, self.usable - self.in_flight) if self.outlasts_a_request else 0

    def free_within(self, seconds: float) -> int:
        """Return how many requests may start by then, if others end as quickly as of late."""
        if not (free := self.free):
            return 0
        ending = self.in_flight * seconds / self._took_s if self._took_s else 0
        return min(self.usable, free + int(ending))

    @property
    def usable(self) -> int:
        """How many requests of this worker may be in flight."""
        return min(len(self._held), self._may_use)

    @property
    def total(self) -> int:
        """How many requests of the account may be in flight, 0 if not known yet."""
        return self._total

    @property
    def outlasts_a_request(self) -> bool:
        """Whether a request that starts now would end before the lease does."""
        return self._now() + self._total_timeout_s < self._leased_until

    def can_start(self) -> bool:
        """Whether one more request, which is there, may start now."""
        self._peak = max(self._peak, self.in_flight + 1)
        if self.free:
            return True
        self._ran_dry = True
        if self._wanted != _ALL:
            self._hurry.set()
        return False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold one slot, as soon as one is free, until the request is over, however it ends."""
        while not self.can_start():
            self._freed.clear()
            await self._freed.wait()
        self.in_flight += 1
        started = self._now()
        try:
            yield
        finally:
            self.in_flight -= 1
            self._took_s += (self._now() - started - self._took_s) / _LATEST
            self._notify()

    async def keep(self) -> None:
        """Renew the lease, beat by beat, for ever."""
        while True:
            self._hurry.clear()
            # `limits.cause` says why; the lease runs out meanwhile.
            with contextlib.suppress(BlockedError):
                await self.renew()
            await asyncio.sleep(_GAP_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._beat_s - _GAP_S):
                    await self._hurry.wait()

    async def renew(self) -> None:
        """Keep the slots that are needed for another while, give up others, take free ones.

        Raises BlockedError when the engine can't be reached.
        """
        self._held = self._held[: max(self.in_flight, self._may_use)]
        ran_dry, self._ran_dry = self._ran_dry, False
        self._wanted = _ALL if ran_dry else self._peak * _AHEAD
        self._peak = self.in_flight
        self._beats += 1
        sent = self._now()
        try:
            held = await self._limits.renew_slots(
                self._worker,
                self._beats,
                self._held,
                self._wanted,
                ttl_s=self._ttl_s,
                live_s=self._beat_s * _LIVE_BEATS,
            )
        except BlockedError:
            self._ran_dry |= ran_dry
            raise
        if held is None:  # others took this worker for dead
            self._held, self._may_use = [], 0
        else:
            self._held, self._may_use, self._total = list(held.slots), held.may_use, held.total
            self._leased_until = sent + self._ttl_s
        self._notify()

    async def give_back(self) -> None:
        """Hold no slots any more, unless requests are under way. Raises BlockedError."""
        if not self.in_flight:
            self._held, self._may_use = [], 0
            await self._limits.give_slots_back(self._worker)

    def _notify(self) -> None:
        self._freed.set()
        self.on_change()
