"""The port of the ledger: the database alone, without the files of an export.

It lies here and not in core/ports.py because the pipeline never sees it: what the pipeline calls a
ledger (`admit`, `commit`) is this database and the parts of the export together. Another engine is
one adapter of this port, and one line in ledger/registry.py.

All methods raise DatabaseError (ledger/trouble.py) if the engine fails. Each that changes something
does it whole or not at all, and it is durable when the method returns.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cxai.core.entry import Entry
from cxai.core.layout import Layout
from cxai.core.outcome import Outcome
from cxai.ledger.form import ExportForm
from cxai.output.part_state import Extent, PartState

Key = bytes | str
"""What makes an entry distinct, as in core/entry.py."""


class Settled(NamedTuple):
    """The verdict of an entry, the number of the part that has its rows, and the run it is of."""

    verdict: str
    part: int
    run: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run into an export: `run_id` as in the rows that it wrote, times as text.

    `settled` counts the entries that got their verdict from it. `ended` is None and `report` empty
    while it runs, and if it was killed or its disk failed.
    """

    number: int
    run_id: str
    started_at: str
    seen_at: str
    settled: int
    ended: str | None
    report: Mapping[str, Any]


class Database(Protocol):
    """What a run needs of the database, and the commands that look into an export."""

    @property
    def is_new(self) -> bool:
        """Whether there is nothing in it yet: only `create` may be called then."""
        ...

    @property
    def is_displaced(self) -> bool:
        """Whether what was opened is no longer in its place. Raises OSError."""
        ...

    def create(self, form: ExportForm, at: str) -> None:
        """Begin the books of an export with one empty, open part of each set."""
        ...

    def form(self, layout_of: Callable[[str], Layout]) -> ExportForm:
        """Return the form of the export. `layout_of` returns the layout of a resource by its name.

        Raises what `layout_of` raises, UsageError if another version of cxai wrote the export, and
        IntegrityError if it has no form.
        """
        ...

    def move(self, form: ExportForm) -> None:
        """Give the export the origin and score ranges of `form`; only while nothing is in it."""
        ...

    def has_outcomes(self) -> bool:
        """Whether any entry has a verdict."""
        ...

    def has_answers(self) -> bool:
        """Whether any ID has a verdict: refused lines of the input don't count."""
        ...

    def outcome(self, key: Key) -> Settled | None:
        """Return what is settled of an entry, None if nothing is."""
        ...

    def outcomes(self, keys: Sequence[Key]) -> Mapping[Key, Settled]:
        """Return the same of many entries, of those of which anything is settled."""
        ...

    def verdicts(self) -> Mapping[str, int]:
        """Return how many entries have which verdict, over all runs, in order of verdicts."""
        ...

    def parts(self) -> Sequence[PartState]:
        """Return what is committed of each part, in order of sets and numbers."""
        ...

    def commit(
        self,
        run: int,
        outcomes: Collection[Outcome],
        extents: Collection[Extent],
        at: str,
        *,
        recorded: int,
        failed: int,
        replaced: int = 0,
    ) -> None:
        """Count a batch: its outcomes, what it appended to the parts, and the run's progress.

        The rows of outcomes with a record stand in the parts with the number `recorded`, those of
        all others in the part `failed` of the failures. An ID with a record never gets another
        verdict: that fails, and nothing of the batch counts. `replaced` of the outcomes take the
        place of others of the same run. An entry whose verdict is not in OPEN_AGAIN leaves the
        inbox, if it is there.
        """
        ...

    def put_in_inbox(self, entries: Collection[Entry]) -> None:
        """Keep entries, which are not there yet, behind all others that are in the inbox."""
        ...

    def is_in_inbox(self, key: Key) -> bool:
        """Whether an entry is in the inbox."""
        ...

    def inbox(self, after: int, most: int) -> Sequence[tuple[int, Entry]]:
        """Return up to `most` entries of the inbox with their positions, those above `after`.

        Positions are above 0, and in the order in which the entries were put there.
        """
        ...

    def inbox_size(self) -> tuple[int, int]:
        """Return how many entries are in the inbox, and how many of these have no verdict."""
        ...

    def put_unfetched_in_inbox(self, source: str) -> None:
        """Put the IDs of withdrawn parts that have no verdict there, as entries of `source`."""
        ...

    def has_read_by(self, group: str) -> bool:
        """Whether anything was taken in that a group of consumers of a queue has read."""
        ...

    def note_read_by(self, group: str) -> None:
        """Note that something is to be taken in that a group has read. It may be repeated."""
        ...

    def begun(self) -> Mapping[str, str]:
        """Return when the open part of a set got its first row, of each set where it has one."""
        ...

    def seal(self, parts: Collection[PartState], empty: Collection[Extent]) -> None:
        """Note that these parts are sealed, and begin the one after each.

        `empty` are the extents of those that were written only now, without a row.
        """
        ...

    def withdraw(self, parts: Collection[PartState]) -> int:
        """Forget parts and the verdicts of all IDs with rows in them; return how many these are.

        Of the sets of records, all parts with the same number have to be withdrawn together.
        Each ID stays known as unfetched until it has a verdict again; a refused line doesn't.
        """
        ...

    def unfetched(self, most: int = 0) -> tuple[int, Sequence[Key]]:
        """Return how many IDs of withdrawn parts have no verdict yet, and up to `most` of them."""
        ...

    def start_run(self, run_id: str, at: str) -> int:
        """Note that a run begins and return its number, from 1.

        What is in the inbox and has a record leaves it: an older version of cxai has no inbox.
        """
        ...

    def settled(self, run: int) -> int:
        """Return how many entries have their verdict from a run, as it has counted them."""
        ...

    def finish_parts(self, run: int) -> None:
        """Note of all sealed parts that no run has finished before that this one has."""
        ...

    def end_run(self, run: int, ended: str, report: Mapping[str, Any], at: str) -> None:
        """Note how a run ended."""
        ...

    def problems(self) -> Sequence[str]:
        """Return what the engine finds wrong with its own storage."""
        ...

    def runs(self) -> Sequence[Run]:
        """Return all runs, in order."""
        ...

    def outcomes_by_run(self) -> Mapping[int, int]:
        """Return how many entries have their verdict from which run."""
        ...

    def verdicts_in_place(self, main_set: str) -> Mapping[str, int]:
        """Return the verdicts of those entries alone whose rows are in parts not released.

        Rows of records are looked for in the parts of `main_set`.
        """
        ...

    def extents(self, part: PartState) -> Sequence[tuple[int, int]]:
        """Return what each commit appended to a part: where it begins, and its CRC-32."""
        ...

    def release(self, parts: Collection[PartState], at: str) -> None:
        """Note that the files of sealed parts may go; those that were released before stay so."""
        ...

    def close(self) -> None:
        """Let go of it; what is committed stays."""
        ...
