"""What the books of an export hold, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cxai.core.entry import Entry
from cxai.policy.verdict import Verdict

POISONED_AFTER = 10
"""Workers that an ID alone in its block may cost before it gets the verdict `poison`."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A block that is the worker's own now: the IDs of it that have no verdict.

    `losses` counts the workers that were lost while they had the block; an orderly return is none.
    """

    block: int
    losses: int
    entries: Sequence[Entry]

    @property
    def poisoned(self) -> bool:
        """Whether its only ID has cost so many workers that it isn't to be tried again."""
        return len(self.entries) == 1 and self.losses >= POISONED_AFTER


@dataclass(frozen=True, slots=True)
class Written:
    """An object that was put under its pending name. `size` in bytes, `records` in lines."""

    set: str
    pending: str
    records: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object of the log: it counts. Numbers begin with 1; each set of a commit has the same."""

    number: int
    set: str
    pending: str
    records: int
    size: int
    sha256: bytes
    worker: int
    published: bool
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of lines that were handed in: fresh + duplicates = lines.

    `fresh` are IDs that were not known. Of the duplicates, `settled` counts by verdict those that
    have a final one, and `requeued` the IDs whose verdict is not final and that are queued again.
    """

    fresh: int
    duplicates: int
    settled: Mapping[Verdict, int]
    requeued: Mapping[Verdict, int]


@dataclass(frozen=True, slots=True)
class Counts:
    """How far an export is: lines = ids + duplicates, ids = the sum of verdicts + open.

    `queued` and `leased` count blocks, `unpublished` objects. `fed` says that no more lines come.
    """

    lines: int
    duplicates: int
    verdicts: Mapping[Verdict, int]
    queued: int
    leased: int
    fed: bool
    last_object: int
    unpublished: int

    @property
    def ids(self) -> int:
        """Distinct IDs, and lines that hold none."""
        return self.lines - self.duplicates

    @property
    def open(self) -> int:
        """IDs without a verdict."""
        return self.ids - sum(self.verdicts.values())

    @property
    def finished(self) -> bool:
        """Whether every ID has its verdict, and no more are to come."""
        return self.fed and not self.open and not self.queued + self.leased


@dataclass(frozen=True, slots=True)
class Recount:
    """What is really there, counted item by item; `in_blocks` are the IDs that are queued."""

    ids: int
    verdicts: Mapping[Verdict, int]
    in_blocks: int


@dataclass(frozen=True, slots=True)
class Queue:
    """Whether an export has anything left to do."""

    fed: bool
    has_blocks: bool
    has_unpublished: bool

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to do, and nothing more is to come."""
        return self.fed and not (self.has_blocks or self.has_unpublished)


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as the others see it. `silent_s` are seconds since its last beat."""

    id: int
    name: str
    started_at: datetime
    silent_s: float
    gone: bool
    state: str
    blocks: int
