"""What the books of an export contain, as values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cxai.core.entry import Entry
from cxai.core.tally import Tally
from cxai.policy.verdict import Verdict

POISONED_AFTER = 10
"""How many workers an ID alone in its block may cost before its verdict is `poison`."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A block that the worker owns now: its IDs without a verdict.

    `losses` counts the workers that were declared gone while they had the block.
    """

    block: int
    losses: int
    entries: Sequence[Entry]

    @property
    def poisoned(self) -> bool:
        """Whether its only ID has cost too many workers to be tried again."""
        return len(self.entries) == 1 and self.losses >= POISONED_AFTER


@dataclass(frozen=True, slots=True)
class Written:
    """An object that was written under its pending name. `size` in bytes, `records` in lines."""

    set: str
    pending: str
    records: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """An object in the commit log. Numbers begin with 1; all objects of a commit share one."""

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
    """The result of enqueueing lines: fresh + duplicates = lines.

    `fresh` are new IDs. Of the duplicates, `settled` counts by verdict those that have a final one,
    and `requeued` the IDs that are queued again since their verdict was not final.
    """

    fresh: int
    duplicates: int
    settled: Mapping[Verdict, int]
    requeued: Mapping[Verdict, int]


@dataclass(frozen=True, slots=True)
class Counts:
    """The progress of an export: lines = ids + duplicates, ids = the sum of verdicts + open.

    `queued` and `leased` count blocks, `unpublished` objects. `fed`: the input is complete.
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
        """Distinct IDs, including lines without a valid one."""
        return self.lines - self.duplicates

    @property
    def open(self) -> int:
        """IDs without a verdict."""
        return self.ids - sum(self.verdicts.values())

    @property
    def finished(self) -> bool:
        """Whether the input is complete, and every ID has its verdict."""
        return self.fed and not self.open and not self.queued + self.leased

    def tally(self, own: Tally) -> Tally:
        """Return these counts as those of a run, so that the same rules decide how it ended.

        Counts that only a worker has are those of `own`.
        """
        invalid = self.verdicts.get(Verdict.INVALID_ID, 0)
        return replace(
            own,
            lines=self.lines,
            duplicates=self.duplicates,
            invalid=invalid,
            ids=self.ids - invalid,
            blanks=0,
            comments=0,
            before=Counter(),
            now=Counter(self.verdicts),
            left_over=0,
            retaken=0,
            committed=None,
        )


@dataclass(frozen=True, slots=True)
class Recount:
    """The items as counted one by one; `in_blocks` are the IDs in the queue."""

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
        """Whether the input is complete, and nothing is left to do."""
        return self.fed and not (self.has_blocks or self.has_unpublished)


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as the others see it. `silent_s` is the time since its last heartbeat."""

    id: int
    name: str
    started_at: datetime
    silent_s: float
    gone: bool
    state: str
    blocks: int


# The numbers of verdicts in the database. They are stored, so none ever changes its meaning.
CODES: Mapping[Verdict, int] = {
    Verdict.OK: 1,  # export.sql has this number in a trigger
    Verdict.NOT_FOUND: 2,
    Verdict.NOT_READY: 3,
    Verdict.PROCESSING_FAILED: 4,
    Verdict.INVALID_ID: 5,
    Verdict.REJECTED: 6,
    Verdict.BAD_BODY: 7,
    Verdict.CORRUPT_BODY: 8,
    Verdict.UNSUPPORTED_ENCODING: 9,
    Verdict.TOO_LARGE: 10,
    Verdict.REDIRECTED: 11,
    Verdict.EXHAUSTED: 12,
    Verdict.POISON: 13,
}

VERDICTS: Mapping[int, Verdict] = {code: verdict for verdict, code in CODES.items()}


def by_verdict(counted: Mapping[str, int]) -> Mapping[Verdict, int]:
    """Return counts by code as counts by verdict, in the order of verdicts."""
    known = {VERDICTS[int(code)]: ids for code, ids in counted.items()}
    return {verdict: known[verdict] for verdict in Verdict if verdict in known}
