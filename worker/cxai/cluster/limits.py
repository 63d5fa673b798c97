"""The account's limits in the database: limits.sql as typed calls."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cxai.errors import BlockedError

Query = Callable[[str, Sequence[object]], Awaitable[Sequence[Sequence[Any]]]]
"""Runs one statement as a transaction of its own, once, and returns its rows.

Raises BlockedError when the database can't be reached: it may have had an effect nevertheless."""

MARGIN = 0.02
"""Share of the account's rate that is left unused.

As a share of a second, it covers how much closer together than planned requests may arrive: they
leave late (ticks.SLACK_S), clocks are read with an error, and latency varies."""

HORIZON_S = 0.25
"""No tick further ahead is granted: see `reserve` in limits.sql."""

SLICE_S = 0.05
"""No more ticks are granted at a time than the rate allows within this time."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """An answer of `reserve`; its fields are described there."""

    now_s: float
    granted: int
    first_s: float | None
    step_s: float
    wait_s: float
    is_in_use: bool
    paused_s: float
    rate_limit: float
    rate_allowed: float
    has_learned: bool


@dataclass(frozen=True, slots=True)
class Held:
    """The slots that a worker holds, the number it may use, and the account's total."""

    slots: Sequence[int]
    may_use: int
    total: int


@dataclass(frozen=True, slots=True)
class Learned:
    """What all workers have learned about the API's own limit; `figures` are an AdaptiveRate's."""

    now_s: float
    revision: int
    rate: float
    figures: Sequence[float] | None


class AccountLimits:
    """The limits of one account, as one worker sees them. Every method may raise BlockedError.

    `cause` is why the last call failed, empty if it didn't.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self.cause = ""

    async def reserve(self, most: int, lead_s: float) -> Reserved:
        """Reserve up to `most` ticks, the first not before `lead_s` from now."""
        row = await self._row(
            "SELECT * FROM reserve(%s::int, %s, %s, %s, %s)",
            most, lead_s, HORIZON_S, SLICE_S, MARGIN,
        )  # fmt: skip
        return Reserved(*row)

    async def renew_slots(
        self,
        worker: int,
        beat: int,
        keep: Sequence[int],
        wanted: int,
        *,
        ttl_s: float,
        live_s: float,
    ) -> Held | None:
        """Keep these slots for `ttl_s`, release others, take free ones up to a fair share.

        Only workers with a beat within `live_s` have a share. Returns None if this worker was
        declared gone, or if a later beat has overtaken this one.
        """
        slots, may_use, total = await self._row(
            "SELECT held, may_use, slots"
            " FROM renew_slots(%s::bigint, %s::bigint, %s::int[], %s::int, %s, %s)",
            worker, beat, list(keep), wanted, ttl_s, live_s,
        )  # fmt: skip
        return None if slots is None else Held(slots, may_use, total)

    async def give_slots_back(self, worker: int) -> None:
        """Release all slots of a worker that has nothing in flight."""
        await self._row("SELECT give_slots_back(%s::bigint)", worker)

    async def pause(self, seconds: float) -> None:
        """Let no request of any worker leave for so long; never shortens a pause."""
        await self._row("SELECT pause(%s)", seconds)

    async def learned(self) -> Learned:
        """Return what all workers have learned so far."""
        return Learned(*await self._row("SELECT now_s, revision, rate, figures FROM learned()"))

    async def adapt(self, revision: int, rate: float, figures: Sequence[float] | None) -> bool:
        """Replace what was learned at this revision; return False if another worker was faster."""
        kept = None if figures is None else list(figures)
        row = await self._row("SELECT adapt(%s::bigint, %s, %s::float8[])", revision, rate, kept)
        return bool(row[0])

    async def _row(self, statement: str, *values: object) -> Sequence[Any]:
        try:
            (row,) = await self._query(statement, values)
        except BlockedError as error:
            self.cause = error.cause
            raise
        self.cause = ""
        return row
