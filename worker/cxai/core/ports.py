"""The pipeline's ports; more are in governor_ports.py and resource.py.

One contract test suite for each port runs over every adapter and an in-memory double.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from cxai.core.entry import Entry, IgnoredLine, Outcome
from cxai.core.events import Event
from cxai.core.run_state import Blocked, RunState
from cxai.policy.reply import Arrival, Endpoint, Failure, ParsedReply, Reply, Said
from cxai.policy.step import Settle
from cxai.policy.verdict import Verdict


@runtime_checkable
class Source(Protocol):
    """Where the IDs come from, at least once each. What is not acknowledged may be delivered again.

    One that has to be closed is an asynchronous context manager as well: a run enters it before its
    first request, and exits it after the last acknowledgement.
    """

    @property
    def is_queue(self) -> bool:
        """Whether it deletes what is acknowledged, as a queue does; a file keeps its lines."""

    def batches(self) -> AsyncGenerator[Sequence[Entry | IgnoredLine], None]:
        """Yield every line once, in order, as it arrives; never the whole input in one block.

        An IgnoredLine is counted, and never acknowledged. No two entries have the same `source` and
        `line`, which identify them when they are acknowledged.
        Raises InputBrokenError when the rest can't be read.
        """

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Delete `entries`, which now survive power loss in the ledger; a file does nothing.

        Called once with all entries of a batch, before the next one is requested.
        Raises InputBrokenError when the source can't be reached; the run then reads no more of it.
        """


@runtime_checkable
class RemoteSource(Source, Protocol):
    """A source that may be unreachable for a while; the run waits for it."""

    @property
    def blocked(self) -> Blocked | None:
        """The outage that it waits for, None if it is reachable."""


@runtime_checkable
class GroupSource(Source, Protocol):
    """A queue that keeps its position in a consumer group, without which messages may be lost."""

    @property
    def group(self) -> str:
        """The name of the group, including that of the queue."""

    def expect_group(self) -> None:
        """Note that earlier runs have used this group: if it is gone, the input is broken."""


class Fetcher(Protocol):
    """One request to the API, no retries."""

    async def fetch(self, interaction_id: str, endpoint: Endpoint) -> Reply | Failure:
        """Send one GET; return what was really read. Every network failure is a value."""


class Reader(Protocol):
    """Decodes and parses replies."""

    @property
    def at_once(self) -> int:
        """How many blocks of replies to read concurrently, at least 1."""

    async def read(self, arrived: Sequence[Arrival], at: datetime) -> Sequence[ParsedReply]:
        """Return the meaning of each of these replies, received at `at`; never raises.

        A 200 is the requested Record or Status, or else a Failure with the status, message and
        Retry-After of its reply; any other status is a Refusal.
        """


class RowWriter(Protocol):
    """Writes the lines of IDs that have no record, by part set."""

    def failure(
        self, entry: Entry, settle: Settle, *, attempts: int, at: datetime, said: Said
    ) -> Mapping[str, bytes]:
        """Return the line that lists an ID without a record."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A block of entries, compared with the ledger.

    `fresh` entries are to be retrieved now. `duplicates` counts entries that came earlier in this
    input; `settled` counts, by verdict, those with a final verdict of an earlier run; `answered` is
    one of these that has a record. `retaken` counts, by verdict, duplicates that are fresh
    nevertheless: a queue has redelivered an ID whose verdict of this run is not final.
    """

    fresh: Sequence[Entry]
    duplicates: int
    settled: Mapping[Verdict, int]
    answered: Entry | None = field(default=None, compare=False)
    retaken: Mapping[Verdict, int] = field(default_factory=dict)


class Ledger(Protocol):
    """Holds every ID that has a verdict, and commits verdict and record together.

    It also keeps what a queue has deleted until that has a final verdict.
    """

    def left_over(self) -> AsyncGenerator[Admission, None]:
        """Yield, in blocks, what earlier runs have taken from a queue and not settled.

        Iterate it once, to its end, before the first `admit`. Raises CommitError.
        """

    async def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` are to be retrieved. Call it once for each entry of the input.

        When it returns, a queue may delete all of them. Raises CommitError when the ledger fails.
        """

    async def seal_old(self) -> float | None:
        """Finish parts that are old enough, for readers of the export during the run.

        Returns the seconds until the next call, None for no more calls. Raises as `commit` does.
        """

    async def commit(self, outcomes: Collection[Outcome]) -> None:
        """Make all outcomes durable, with their lines, or none.

        When it returns, they survive power loss. Raises CommitError if none of them counts; after a
        BlockedError, the same commit may be repeated.
        """


class Observer(Protocol):
    """Shows how a run goes: on a display, in a file, or as metrics.

    An error that a method raises is logged, and changes nothing for the run or other observers.
    No method waits: whatever may have to wait belongs on a thread.
    """

    @property
    def interval_s(self) -> float:
        """Seconds from one state to the next, above 0."""

    def observe(self, state: RunState, /) -> None:
        """Show the state of this moment."""

    def see(self, event: Event, /) -> None:
        """Show an event, in the order of events and before the run continues."""

    async def close(self, last: RunState, report: Mapping[str, Any] | None, /) -> None:
        """Show the end, if it shows that, and release what it holds.

        `report` has the values of `cxai run --json`, None after an unexpected error.
        """


class Clock(Protocol):
    """Time, handed in."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow; every duration is measured with it."""

    def utc(self) -> datetime:
        """Return the wall clock's time in UTC, for time stamps only."""
