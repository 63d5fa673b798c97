"""The pipeline's ports: what it needs of the world, as small protocols.

Each adapter of a port lives in a file of its own; each port has one contract test suite that runs
over every adapter and over its in-memory double.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from cxai.core.entry import Entry, Skip
from cxai.core.outcome import Outcome
from cxai.core.run_state import RunState
from cxai.policy.policy import Effect
from cxai.policy.reply import Failure, Interaction, Question, Reply, Said, Status
from cxai.policy.verdict import Stage, Verdict


class Source(Protocol):
    """Where the IDs come from."""

    def batches(self) -> AsyncGenerator[Sequence[Entry | Skip], None]:
        """Yield every line once, in order, as it arrives; never the whole input at once.

        Raises InputBrokenError when the rest can't be read.
        """
        ...


class Limiter(Protocol):
    """The governor of requests: how many a second, how many at a time, and whether at all."""

    async def acquire(self) -> None:
        """Return when it is the caller's turn to send one request; first come, first served."""
        ...

    def release(self) -> None:
        """Note that a request is over, however it ended. Once for each `acquire`."""
        ...

    def learn(self, effect: Effect, key: object, left_s: float) -> None:
        """Note what a request for `key`, which left at `left_s` (monotonic), tells of the API."""
        ...

    def pause(self, seconds: float, why: str) -> None:
        """Give nobody a turn for `seconds` from now; never shortens a pause."""
        ...

    @property
    def outage(self) -> bool:
        """Whether the API fails for everyone just now."""
        ...


class Fetcher(Protocol):
    """One request to the API, no retries."""

    async def fetch(self, interaction_id: str, question: Question) -> Reply | Failure:
        """Ask; return what was really read. Every failure of the network is a value."""
        ...

    def renew(self) -> bool:
        """Look for another token; return whether there is one. It counts from now on."""
        ...


class Reader(Protocol):
    """Makes sense of bodies."""

    async def result(self, reply: Reply) -> Interaction | Failure:
        """Decode and validate a result."""
        ...

    async def processing(self, reply: Reply) -> Status | Failure:
        """Decode and validate an answer of the status endpoint."""
        ...

    def message(self, reply: Reply) -> str | None:
        """Return the API's own words in the body of an error, None if there are none.

        They are at most 200 characters long, printable, and hold neither the token nor what is
        secret in a URL.
        """
        ...


class Recorder(Protocol):
    """Turns what is known of an ID into JSON lines, by part set."""

    def record(
        self, interaction_id: str, interaction: Interaction, at: datetime
    ) -> Mapping[str, bytes] | Failure:
        """Return the record's lines; a Failure if it can't be written as JSON."""
        ...

    def failure(
        self,
        entry: Entry,
        verdict: Verdict,
        reason: str,
        *,
        stage: Stage,
        attempts: int,
        at: datetime,
        said: Said,
    ) -> Mapping[str, bytes]:
        """Return the line that lists an ID without a record."""
        ...


@dataclass(frozen=True, slots=True)
class Admission:
    """What the ledger says of a block of entries.

    `fresh` entries are to be done now; an earlier run has given those whose keys are in
    `suspects` up. `duplicates` counts entries that stood in this input before; `settled` counts,
    by verdict, those which an earlier run has settled for good.
    """

    fresh: Sequence[Entry]
    duplicates: int
    settled: Mapping[Verdict, int]
    suspects: Collection[bytes | str] = field(default=frozenset(), compare=False)


class Ledger(Protocol):
    """Knows every ID that has a verdict, and makes verdict and record one."""

    async def admit(self, entries: Sequence[Entry]) -> Admission:
        """Tell what of `entries` is to be done. Call it once per entry of the input.

        Raises CommitError when the ledger fails.
        """
        ...

    async def commit(self, outcomes: Collection[Outcome]) -> None:
        """Make all outcomes durable, with their lines, or none.

        When it returns, they survive power loss. Raises CommitError: none of them counts; if it is
        a DiskFullError, the same commit may be tried again.
        """
        ...


class Observer(Protocol):
    """Shows how a run goes: on a display, in a file, a log, or as metrics. It gets values alone.

    An error that a method raises is logged, and changes nothing for the run or other observers.
    """

    @property
    def interval_s(self) -> float:
        """Seconds from one look to the next, above 0."""
        ...

    def observe(self, state: RunState, /) -> None:
        """Show it. Returns at once: whatever may have to wait belongs on a thread."""
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
