"""The port of the ledger's database alone, without the files of an export.

All methods raise DatabaseError (ledger/disk_failure.py) if the engine fails. Every change is made
whole or not at all, and is durable when the method returns.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cxai.core.entry import Entry, Outcome
from cxai.core.layout import Layout
from cxai.ledger.form import ExportForm
from cxai.output.part_state import Extent, PartState

Key = bytes | str
"""What identifies an entry, as in core/entry.py."""


class Settled(NamedTuple):
    """The verdict of an entry, the number of the part with its rows, and the number of its run."""

    verdict: str
    part: int
    run: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run into an export: `run_id` as in the rows that it wrote, times as text.

    `seen_at` is the time of its last commit or its end; `settled` counts the entries that it gave a
    verdict. `ended` is None and `report` empty while it runs, and if it did not shut down cleanly.
    """

    number: int
    run_id: str
    started_at: str
    seen_at: str
    settled: int
    ended: str | None
    report: Mapping[str, Any]


class Database(Protocol):
    """What a run and the commands that inspect an export need from the database."""

    @property
    def is_new(self) -> bool:
        """Whether it is still empty: then only `create` may be called."""

    @property
    def is_displaced(self) -> bool:
        """Whether its file was moved, removed or replaced. Raises OSError."""

    def create(self, form: ExportForm, at: str) -> None:
        """Create the ledger of an export, with one empty, open part of each set."""

    def form(self, layout_of: Callable[[str], Layout]) -> ExportForm:
        """Return the form of the export; `layout_of` returns the layout of a resource by its name.

        Raises what `layout_of` raises, UsageError if another version of cxai wrote the export, and
        IntegrityError if the form is damaged.
        """

    def change_origin(self, form: ExportForm) -> None:
        """Set the origin and score ranges of `form`; only while no ID has a verdict."""

    def has_outcomes(self) -> bool:
        """Whether any entry has a verdict."""

    def has_answers(self) -> bool:
        """Whether any ID has a verdict; invalid lines of the input don't count."""

    def outcome(self, key: Key) -> Settled | None:
        """Return the verdict of an entry, None if it has none."""

    def outcomes(self, keys: Sequence[Key]) -> Mapping[Key, Settled]:
        """Return the verdicts of many entries, without those that have none."""

    def verdicts(self) -> Mapping[str, int]:
        """Count the entries by verdict, over all runs, in order of verdicts."""

    def parts(self) -> Sequence[PartState]:
        """Return what is committed of each part, in order of sets and numbers."""

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
        """Record a batch: its outcomes, what it appended to the parts, and the run's progress.

        The rows of outcomes with a record are in the parts with the number `recorded`, all others
        in the part `failed` of the failures. An ID with a record never gets another verdict: then
        the whole batch fails. `replaced` of the outcomes replace others of the same run. An entry
        whose verdict is not in OPEN_AGAIN is deleted from the inbox.
        """

    def put_in_inbox(self, entries: Collection[Entry]) -> None:
        """Append entries, which are not there yet, to the inbox."""

    def is_in_inbox(self, key: Key) -> bool:
        """Whether an entry is in the inbox."""

    def inbox(self, after: int, most: int) -> Sequence[tuple[int, Entry]]:
        """Return up to `most` entries above position `after` (from 1), in order of arrival."""

    def inbox_size(self) -> tuple[int, int]:
        """Return how many entries are in the inbox, and how many of them have no verdict."""

    def put_unfetched_in_inbox(self, source: str) -> None:
        """Append the IDs of withdrawn parts that have no verdict, as entries of `source`."""

    def has_read_by(self, group: str) -> bool:
        """Whether the inbox ever got an entry that this consumer group had read."""

    def note_read_by(self, group: str) -> None:
        """Record that the inbox gets an entry that this group has read. May be repeated."""

    def begun(self) -> Mapping[str, str]:
        """Return when the open part of each set got its first row, without empty parts."""

    def seal(self, parts: Collection[PartState], empty: Collection[Extent]) -> None:
        """Record that parts are sealed (`empty`: written without a row); begin the next ones."""

    def withdraw(self, parts: Collection[PartState]) -> int:
        """Delete parts and the verdicts of all entries with rows in them; return how many.

        Parts of record sets with the same number have to be withdrawn together. Each ID is listed
        as unfetched until it has a verdict again; an invalid line is not.
        """

    def unfetched(self, most: int = 0) -> tuple[int, Sequence[Key]]:
        """Return how many IDs of withdrawn parts have no new verdict, and up to `most` of them."""

    def start_run(self, run_id: str, at: str) -> int:
        """Record that a run starts and return its number, from 1.

        Entries with a record are deleted from the inbox: older versions of cxai ignore it.
        """

    def settled(self, run: int) -> int:
        """Return how many entries a run has given a verdict, as it counted them."""

    def finish_parts(self, run: int) -> None:
        """Record that this run finished all sealed parts which no run has finished before."""

    def end_run(self, run: int, ended: str, report: Mapping[str, Any], at: str) -> None:
        """Record how a run ended."""

    def problems(self) -> Sequence[str]:
        """Return what the engine finds wrong in its own storage."""

    def runs(self) -> Sequence[Run]:
        """Return all runs, in order."""

    def outcomes_by_run(self) -> Mapping[int, int]:
        """Count the entries by the run that gave them their verdict."""

    def verdicts_in_place(self, main_set: str) -> Mapping[str, int]:
        """Count entries in parts not released, by verdict; `main_set` decides for records."""

    def extents(self, part: PartState) -> Sequence[tuple[int, int]]:
        """Return the offset and the CRC-32 of what each commit appended to a part."""

    def release(self, parts: Collection[PartState], at: str) -> None:
        """Record that the files of sealed parts may be deleted; no change if they were released."""

    def close(self) -> None:
        """Close it; what is committed stays."""
