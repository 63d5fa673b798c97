"""The pipeline's ports: what it needs of the world, as small protocols.

Each adapter of a port lives in a file of its own; each port has one contract test suite that runs
over every adapter and over its in-memory double. One more port is in core/resource.py.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from cxai.core.backlog import Item
from cxai.core.entry import Entry, IgnoredLine
from cxai.core.events import Event
from cxai.core.outcome import Outcome
from cxai.core.run_state import Blocked, RunState
from cxai.errors import CxaiError
from cxai.policy.reply import Arrival, Endpoint, Failure, ParsedReply, Record, Reply, Said
from cxai.policy.step import Ask, Settle
from cxai.policy.table import Signal
from cxai.policy.verdict import Verdict


@runtime_checkable
class Source(Protocol):
    """Where the IDs come from: at least once each. What is not acknowledged may come again.

    One that has something to close is an asynchronous context manager as well: a run enters it
    before its first request, and leaves it after the last acknowledgement.
    """

    @property
    def is_queue(self) -> bool:
        """Whether it lets go of what is acknowledged, as a queue does; a file keeps its lines.

        What a queue has let go of is kept by the ledger until it has a final verdict.
        """
        ...

    def batches(self) -> AsyncGenerator[Sequence[Entry | IgnoredLine], None]:
        """Yield every line once, in order, as it arrives; never the whole input at once.

        An IgnoredLine is a line that asks for nothing. It is counted, and never acknowledged.

        No two entries have the same `source` and `line`: by these an acknowledged one is known.
        Raises InputBrokenError when the rest can't be read.
        """
        ...

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Let go of `entries`: the ledger has them, and they survive power loss.

        Called once with all entries of a batch, before the next one is asked for. A source that
        keeps its lines, such as a file, does nothing.
        Raises InputBrokenError when the source can't be reached; then the entries may come again,
        and are found in the ledger. It is not asked for more after that.
        """
        ...


@runtime_checkable
class RemoteSource(Source, Protocol):
    """A source that may be out of reach for a while, and is waited for then."""

    @property
    def blocked(self) -> Blocked | None:
        """The outage that it waits for, None if it is within reach."""
        ...


@runtime_checkable
class GroupSource(Source, Protocol):
    """A source whose place in a queue is kept by the queue, in a group of consumers.

    Once the group is gone, what it had not read may be lost.
    """

    @property
    def group(self) -> str:
        """The name of the group, that of the queue included."""
        ...

    def expect_group(self) -> None:
        """Note that earlier runs have read by this group: without it, the input is broken."""
        ...


class Governor(Protocol):
    """Lets requests leave (what next, how fast, whether at all) and says whose trouble it is."""

    def begin(self, stop: Callable[[CxaiError], None]) -> None:
        """Govern a run; `stop` ends it early."""
        ...

    async def next_to_leave(self) -> Item:
        """Return the next item at the moment when its request may leave; first come, first served.

        Once for each, what came back is given to `learn`.
        """
        ...

    def refused_rounds(self, item: Item) -> int:
        """Return how many rounds of refusals by a limit came before this item's request."""
        ...

    def ask_again(self, item: Item, ask: Ask, signal: Signal) -> None:
        """Offer an item again when policy, limit and the budget of retries allow it."""
        ...

    def hold_back(self, item: Item, verdict: Settle) -> None:
        """Hold a verdict back that the API has not given: the trouble may be the API's own."""
        ...

    def learn(self, item: Item, seen: ParsedReply, signal: Signal) -> Sequence[tuple[Item, Settle]]:
        """Note what came back for an item; return the verdicts that are held back no longer."""
        ...

    @property
    def is_calm(self) -> bool:
        """Whether the API is up and nothing else is to be found out about it."""
        ...

    def learn_results(self, results: Sequence[tuple[Item, Record]]) -> None:
        """Do as `learn` does for results of items that are no canaries. Only while `is_calm`."""
        ...

    def know_answered(self, entry: Entry) -> None:
        """Note an ID whose result an earlier run has."""
        ...

    def input_ended(self) -> None:
        """Note that no new item comes any more."""
        ...

    def rest(self) -> None:
        """Note that nothing waits for the API, for the time being or at the end."""
        ...


class Limiter(Protocol):
    """The pace of requests. One caller at a time acquires."""

    async def acquire(self, is_wanted: Callable[[], bool]) -> bool:
        """Return True when one request may leave; False, with no turn used, if it isn't wanted."""
        ...

    def learn(self, signal: Signal, left_s: float) -> None:
        """Adapt to what a request that left at `left_s` (monotonic) tells of the API."""
        ...

    def learn_answers(self, left_s: Sequence[float]) -> None:
        """Do as `learn` does for answers to requests that left then, in this order.

        What `acquire` waits for is not looked at again for that, unless the rate has changed.
        """
        ...

    def note_overload(self, left_s: float) -> None:
        """Note an overload that was no outage: many of them among the answers tell of a limit."""
        ...

    def restore(self) -> None:
        """Take back what was lowered since the last answer: it was no limit that all share."""
        ...

    def pause(self, seconds: float, why: str) -> None:
        """Let nothing leave for `seconds` from now; never shortens a pause."""
        ...


class Fetcher(Protocol):
    """One request to the API, no retries."""

    async def fetch(self, interaction_id: str, endpoint: Endpoint) -> Reply | Failure:
        """Ask; return what was really read. Every failure of the network is a value."""
        ...


class Reader(Protocol):
    """Makes sense of replies."""

    @property
    def at_once(self) -> int:
        """How many blocks of replies are worth reading at a time, at least 1."""
        ...

    async def read(self, arrived: Sequence[Arrival], at: datetime) -> Sequence[ParsedReply]:
        """Return what each of these replies, which came at `at`, is; never raises.

        A 200 is the Record or the Status that was asked for, or a Failure with what else is known
        of its reply; any other status is a Refusal.
        """
        ...


class RowWriter(Protocol):
    """Writes the lines of IDs that have no record, by part set."""

    def failure(
        self,
        entry: Entry,
        settle: Settle,
        *,
        attempts: int,
        at: datetime,
        said: Said,
    ) -> Mapping[str, bytes]:
        """Return the line that lists an ID without a record."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """What the ledger says of a block of entries.

    `fresh` entries are to be done now. `duplicates` counts entries that stood in this input before;
    `settled` counts, by verdict, those which an earlier run has settled for good; `answered` is one
    of these that has a record, None if there is none: an ID that the API knows. `retaken` counts,
    by verdict, the duplicates that are fresh all the same: a queue has sent an ID again for which
    this run found a verdict that is not final.
    """

    fresh: Sequence[Entry]
    duplicates: int
    settled: Mapping[Verdict, int]
    answered: Entry | None = field(default=None, compare=False)
    retaken: Mapping[Verdict, int] = field(default_factory=dict)


class Ledger(Protocol):
    """Knows every ID that has a verdict, and makes verdict and record one.

    It also keeps what a queue has let go of until that has a final verdict.
    """

    def left_over(self) -> AsyncGenerator[Admission, None]:
        """Yield what earlier runs have taken from a queue and not settled, block by block.

        To be iterated once, to its end, before the first `admit`. Raises CommitError.
        """
        ...

    async def admit(self, entries: Sequence[Entry]) -> Admission:
        """Tell what of `entries` is to be done. Call it once per entry of the input.

        When it returns, a queue may let go of all of them. Raises CommitError when the ledger
        fails.
        """
        ...

    async def seal_old(self) -> float | None:
        """Finish what has waited long enough for those who read the export while the run goes.

        Returns after how many seconds to call it again, None for never. Raises CommitError; if it
        is a BlockedError, it may be tried again.
        """
        ...

    async def commit(self, outcomes: Collection[Outcome]) -> None:
        """Make all outcomes durable, with their lines, or none.

        When it returns, they survive power loss. Raises CommitError: none of them counts; if it is
        a BlockedError, the same commit may be tried again.
        """
        ...


class Observer(Protocol):
    """Shows how a run goes: on a display, in a file, or as metrics. It gets values alone.

    An error that a method raises is logged, and changes nothing for the run or other observers.
    No method waits: whatever may have to wait belongs on a thread.
    """

    @property
    def interval_s(self) -> float:
        """Seconds from one state to the next, above 0."""
        ...

    def observe(self, state: RunState, /) -> None:
        """Show the state of this moment."""
        ...

    def see(self, event: Event, /) -> None:
        """Show an event, in the order of events and before the run continues."""
        ...

    async def close(self, last: RunState, report: Mapping[str, Any] | None, /) -> None:
        """Show the end, if it shows that, and release what it holds.

        `last` is the state in which the run ended. `report` says how, in the values of
        `cxai run --json`; it is None if the run failed with an unexpected error.
        """
        ...


class Clock(Protocol):
    """Time, handed in."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow; every duration is measured with it."""
        ...

    def utc(self) -> datetime:
        """Return the wall clock's time in UTC, for time stamps only."""
        ...
