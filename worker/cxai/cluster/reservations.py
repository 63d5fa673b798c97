"""Reserves ticks of the account's rate for this worker: only as many as it can use."""

from cxai.cluster.engine_clock import EngineClock
from cxai.cluster.limits import HORIZON_S, AccountLimits, Reserved
from cxai.cluster.ticks import Ticks
from cxai.core.ports import Clock

_LATENCY_S = 0.002  # how late an event loop may be; added to the round trip of a reservation
_DECAY = 0.9  # the factor by which the slowest recent round trip shrinks with each further one
_MOST_AT_A_TIME = 64


class Reservations:
    """Reserves ticks, and adds them to `ticks` in this process's own time.

    One at a time at first, then twice as many each time, as long as all are used: an unused tick is
    lost to the other workers.
    """

    def __init__(self, limits: AccountLimits, clock: Clock, engine_clock: EngineClock) -> None:
        self.ticks = Ticks()
        self._limits = limits
        self._now = clock.monotonic
        self._engine_clock = engine_clock
        self._at_a_time = 1
        self._unused = 0
        self._round_trip_s = 0.0

    @property
    def lead_s(self) -> float:
        """How long before it is needed a tick has to be reserved."""
        return self._round_trip_s + _LATENCY_S

    def most(self, startable: int) -> int:
        """Return how many ticks to reserve, if `startable` requests could start now."""
        unused, self._unused = self.ticks.late - self._unused, self.ticks.late
        self._at_a_time = 1 if unused else min(2 * self._at_a_time, _MOST_AT_A_TIME)
        return min(self._at_a_time, startable - len(self.ticks))

    async def reserve(self, most: int) -> Reserved:
        """Reserve up to `most` ticks; return the answer. Raises BlockedError."""
        sent = self._now()
        reserved = await self._limits.reserve(most, min(self.lead_s, HORIZON_S))
        received = self._now()
        self._engine_clock.learn(sent, received, reserved.now_s)
        self._round_trip_s = max(received - sent, _DECAY * self._round_trip_s)
        if reserved.first_s is not None:
            first = self._engine_clock.to_monotonic(reserved.first_s)
            self.ticks.add(first, reserved.step_s, reserved.granted)
        return reserved
