"""Ticks of the account's rate, reserved for this worker as early and as many as it can use."""

from cxai.cluster.engine_clock import EngineClock
from cxai.cluster.limits import HORIZON_S, AccountLimits, Reserved
from cxai.cluster.ticks import Ticks
from cxai.core.ports import Clock

# Beside its round trip a reservation takes what an event loop may be late.
_LATENCY_S = 0.002

# Of the slowest round trip of late, so much is remembered at the next one.
_REMEMBERED = 0.9

_MOST_AT_ONCE = 64


class Reservations:
    """Reserves ticks, and adds them to `ticks` in this process's own time.

    As many as are used are reserved at a time, one at first, and after any that went unused: others
    could have had it.
    """

    def __init__(self, limits: AccountLimits, clock: Clock, engine_clock: EngineClock) -> None:
        self.ticks = Ticks()
        self._limits = limits
        self._now = clock.monotonic
        self._engine_clock = engine_clock
        self._at_once = 1
        self._unused = 0
        self._round_trip_s = 0.0

    @property
    def lead_s(self) -> float:
        """How long before it is needed a tick has to be reserved."""
        return self._round_trip_s + _LATENCY_S

    def most(self, room: int) -> int:
        """Return how many to reserve, if requests have `room` beside those that have ticks."""
        unused, self._unused = self.ticks.late - self._unused, self.ticks.late
        self._at_once = 1 if unused else min(2 * self._at_once, _MOST_AT_ONCE)
        return min(self._at_once, room - len(self.ticks))

    async def reserve(self, most: int) -> Reserved:
        """Reserve up to `most` ticks; return the answer. Raises BlockedError."""
        sent = self._now()
        reserved = await self._limits.reserve(most, min(self.lead_s, HORIZON_S))
        received = self._now()
        self._engine_clock.learn(sent, received, reserved.now_s)
        self._round_trip_s = max(received - sent, _REMEMBERED * self._round_trip_s)
        if reserved.first_s is not None:
            first = self._engine_clock.to_monotonic(reserved.first_s)
            self.ticks.add(first, reserved.step_s, reserved.granted)
        return reserved
