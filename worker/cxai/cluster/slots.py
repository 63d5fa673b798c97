"""The slots of the account that this worker holds, on a lease: its requests in flight."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cxai.cluster.limits import AccountLimits
from cxai.core.ports import Clock
from cxai.errors import BlockedError

RESERVE_S = 10.0
"""A lease outlasts a request by this: so long may the database be away before requests stop."""

BEAT_S = 1.0

_LIVE_BEATS = 5  # a worker that misses this many beats has no share of the free slots
_GAP_S = 0.1  # the least time between two messages of a worker that needs slots immediately
_LATEST = 10  # the duration of a request is averaged over about this many

_AHEAD = 2
"""How many times the slots in use are requested, so that several ticks can be used together."""

_ALL = 1 << 30  # more slots than an account ever has


class Slots:
    """This worker's slots. Each request in flight needs one, and its lease outlasts the request.

    A lease is counted from before the message that renews it is sent, so that it ends here earlier
    than in the database. Slots are held by number, but used by count: one that is released is no
    longer counted when the message that releases it is sent.

    `total_timeout_s` is the longest time that a request takes. `on_change` is called whenever
    another request may be able to start. `in_flight` counts those under way; `total` is the
    account's limit, 0 if unknown yet.
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
        self.total = 0
        self._leased_until = -math.inf
        self._beats = 0
        self._peak = 0  # in flight since the last beat
        self._ran_dry = False  # since the last beat
        self._wanted = 0  # in the last message
        self._took_s = 0.0  # a request, on average
        self._urgent = asyncio.Event()
        self._freed = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more requests may start now."""
        return max(0, self.usable - self.in_flight) if self.outlasts_a_request else 0

    def free_within(self, seconds: float) -> int:
        """Return how many requests may start by then, if others take as long as they did lately."""
        ending = self.in_flight * seconds / self._took_s if self._took_s else 0
        return min(self.usable, self.free + int(ending)) if self.free else 0

    @property
    def usable(self) -> int:
        """How many requests of this worker may be in flight."""
        return min(len(self._held), self._may_use)

    @property
    def outlasts_a_request(self) -> bool:
        """Whether a request that starts now would end before the lease does."""
        return self._now() + self._total_timeout_s < self._leased_until

    def can_start(self) -> bool:
        """Whether a request that is waiting may start now; notes the demand."""
        self._peak = max(self._peak, self.in_flight + 1)
        if self.free:
            return True
        self._ran_dry = True
        if self._wanted != _ALL:
            self._urgent.set()
        return False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a free slot, and hold it until the request is over, however it ends."""
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
        """Renew the lease every beat, until cancelled."""
        while True:
            self._urgent.clear()
            # `limits.cause` has the reason; the lease expires meanwhile.
            with contextlib.suppress(BlockedError):
                await self.renew()
            await asyncio.sleep(_GAP_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._beat_s - _GAP_S):
                    await self._urgent.wait()

    async def renew(self) -> None:
        """Renew the slots that are needed, release others, take free ones. Raises BlockedError."""
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
        if held is None:  # declared gone
            self._held, self._may_use = [], 0
        else:
            self._held, self._may_use, self.total = list(held.slots), held.may_use, held.total
            self._leased_until = sent + self._ttl_s
        self._notify()

    async def give_back(self) -> None:
        """Release all slots unless requests are under way. Raises BlockedError."""
        if not self.in_flight:
            self._held, self._may_use = [], 0
            await self._limits.give_slots_back(self._worker)

    def _notify(self) -> None:
        self._freed.set()
        self.on_change()
