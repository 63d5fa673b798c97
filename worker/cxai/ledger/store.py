"""The commit protocol of one machine: files and ledger become one.

A batch is written behind the committed end of each part, made durable, and then counted by one
transaction of the ledger. Until that transaction is durable nothing of the batch exists: the next
start cuts the files back to what the ledger says. Nothing here is async; one thread calls it.
"""

import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import orjson

from cxai.core.entry import Entry
from cxai.core.layout import FAILURES
from cxai.core.outcome import Outcome
from cxai.core.ports import Admission, Clock
from cxai.errors import CommitError, CxaiError, DiskFullError, IntegrityError
from cxai.ledger.displaced import refuse_displaced
from cxai.ledger.form import ExportForm, read_form, refuse_other_form
from cxai.ledger.part_states import added_by, parts_of
from cxai.ledger.recovery import recover_parts, refuse_parts_without_ledger
from cxai.ledger.reopen import withdraw_missing
from cxai.ledger.seen import Seen
from cxai.ledger.sqlite import Database
from cxai.ledger.trouble import stopped_by, stopping
from cxai.output.contents import LEDGER_NAME
from cxai.output.directory import OutputDirectory
from cxai.output.parts import Extent, OpenPart, PartState, part_name
from cxai.policy.verdict import OPEN_AGAIN, Verdict
from cxai.resources.cx_ai.layout import PART_SETS


class Store:
    """Ledger and parts of one output directory, of which the caller holds the lock.

    Opening it recovers (cxai/ledger/recovery.py) and may raise IntegrityError; UsageError if
    the directory holds an export of another form; CommitError if the disk fails. `reopen` are
    verdicts that are to be asked again, beside those that always are; with `reopen_missing` so are
    the IDs of parts whose files are missing, and were not released. A part of `part_bytes` or more
    is sealed, together with those that hold other rows of the same IDs. `run_id` is what the rows
    of this run carry.
    """

    def __init__(
        self,
        directory: OutputDirectory,
        form: ExportForm,
        clock: Clock,
        *,
        part_bytes: int,
        run_id: str,
        reopen: Collection[Verdict] = (),
        reopen_missing: bool = False,
    ) -> None:
        self._directory = directory
        self._form = form
        self._clock = clock
        self._part_bytes = part_bytes
        self._names_are_new = False  # of parts that were begun, until the directory is synced
        self._was_cut = False  # a batch was cut off, and nobody knows whether that is durable
        self._open_again = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}
        self._reopen_missing = reopen_missing
        ledger = directory.path / LEDGER_NAME
        with self._opening():
            if not ledger.exists():
                refuse_parts_without_ledger(directory.path)
            self._database = Database(ledger)
        try:
            with self._opening():  # closing makes room, so what was lacking is told before
                self._recover(run_id)
        except BaseException:
            self._database.close()
            raise

    def _opening(self) -> AbstractContextManager[None]:
        return stopping(f"open the export in {self._directory.path}", self._directory.path)

    def _recover(self, run_id: str) -> None:
        if self._database.is_new:
            refuse_parts_without_ledger(self._directory.path)
            self._create()
        path = self._directory.path
        self._settle_form()
        if self._reopen_missing:
            withdraw_missing(self._database, list(self.parts()), self._form, path)
        self._parts = recover_parts(self._directory, list(self.parts()), self._form.compression)
        self._seen = Seen(self._directory.path)
        self._has_earlier_runs = self._database.rows("read_any_outcome").fetchone() is not None
        self._run = self._database.run("start_run", {"run_id": run_id, "at": self._now()})

    def _settle_form(self) -> None:
        """Refuse rows of another form or origin than those that are there.

        An export in which nothing has come from an API yet may still get another API or other
        score ranges: after a mistyped base_url, say.
        """
        path = self._directory.path
        there = read_form(self._database, path)
        if self._database.rows("read_any_answer").fetchone() is not None:
            refuse_other_form(there, self._form, path)
            return
        refuse_other_form(
            replace(there, origin=self._form.origin, bands=self._form.bands), self._form, path
        )
        self._database.run("move_export", self._form.as_row())

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Tell duplicates, entries settled by an earlier run, and those to be done.

        Raises DiskFullError if there is no room, and the same call may be made again; CommitError
        when the disk fails.
        """
        path = self._directory.path
        with stopping(f"look up IDs in {path}", path):
            return self._admit(entries)

    def _admit(self, entries: Sequence[Entry]) -> Admission:
        fresh: list[Entry] = []
        suspects: set[bytes | str] = set()
        duplicates = 0
        settled: Counter[Verdict] = Counter()
        are_new = self._seen.add_all([entry.key for entry in entries])
        for entry, is_new in zip(entries, are_new, strict=True):
            if not is_new:
                duplicates += 1
                continue
            verdict = self._verdict_before(entry.key)
            if verdict is not None and verdict not in self._open_again:
                settled[verdict] += 1
                continue
            fresh.append(entry)
            if verdict is Verdict.EXHAUSTED:
                suspects.add(entry.key)
        return Admission(fresh, duplicates, settled, suspects)

    def _verdict_before(self, key: bytes | str) -> Verdict | None:
        if not self._has_earlier_runs:  # what this run has settled is among the seen
            return None
        row = self._database.rows("read_verdict", (key,)).fetchone()
        return None if row is None else Verdict(row[0])

    def commit(self, outcomes: Collection[Outcome]) -> None:
        """Make outcomes and their lines durable, all or none.

        Raises DiskFullError if there is no room, and it may be tried again; CommitError if only
        the next start can tell what is durable; IntegrityError if a file of the export is no longer
        where it was.
        """
        lines = defaultdict(list)
        for outcome in outcomes:
            for set_name, text in outcome.lines.items():
                lines[set_name].append(text)
        try:
            self._rotate(self._part_bytes)
            self._refuse_displaced()
            self._names_are_new |= any(not self._parts[name].is_open for name in lines)
            extents = [self._parts[name].append(lines[name]) for name in lines]
        except (OSError, sqlite3.Error) as error:
            raise self._taken_back(error) from error
        try:
            if self._names_are_new:
                self._directory.sync()
                self._names_are_new = False
            for name in lines:
                self._parts[name].sync()
            with self._database.transaction():
                self._count(outcomes, extents)
        except sqlite3.OperationalError as error:
            taken_back = self._taken_back(error)
            raise (
                taken_back if isinstance(taken_back, DiskFullError) else self._unknown(error)
            ) from error
        except (OSError, sqlite3.Error) as error:
            raise self._unknown(error) from error
        for name in lines:
            self._parts[name].advance()

    def parts(self) -> Iterable[PartState]:
        """Return what is committed of each part, in order of sets and numbers."""
        return parts_of(self._database)

    def verdicts(self) -> dict[str, int]:
        """Return how many IDs (and invalid lines) of all inputs have which verdict."""
        return dict(self._database.rows("count_verdicts"))

    def added(self) -> Mapping[tuple[str, int], str]:
        """Return, by set and number of each sealed part, the ID of the run that finished it."""
        return added_by(self._database)

    def settled(self) -> int:
        """Return how many outcomes of this run are committed. Raises CommitError."""
        path = self._directory.path
        with stopping(f"count what is committed in {path}", path):
            (settled,) = self._database.rows("read_settled", {"run": self._run}).fetchone()
            return int(settled)

    def unfetched(self) -> int:
        """Return how many IDs of withdrawn parts have no verdict again. Raises CommitError."""
        path = self._directory.path
        with stopping(f"count the IDs of reopened parts in {path}", path):
            (unfetched,) = self._database.rows("count_unfetched").fetchone()
            return int(unfetched)

    def seal(self) -> None:
        """Seal all parts; a set that has none gets an empty one. Raises CommitError."""
        with self._sealing():
            self._seal()

    def end_run(self, ended: str, tally: Mapping[str, Any]) -> None:
        """Seal all parts that are not, and note how the run ended. Raises CommitError."""
        with self._sealing():
            self._seal()
            self._database.run(
                "end_run",
                {
                    "at": self._now(),
                    "ended": ended,
                    "tally": orjson.dumps(tally).decode(),
                    "run": self._run,
                },
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything. What is committed stays; what is not will be cut."""
        for part in self._parts.values():
            part.close()
        self._seen.close()
        self._database.close()

    def _sealing(self) -> AbstractContextManager[None]:
        return stopping(f"seal the parts in {self._directory.path}", self._directory.path)

    def _taken_back(self, error: Exception) -> CxaiError:
        """Cut the batch off that could not be written; return what is to be raised."""
        self._was_cut = True
        for part in self._parts.values():
            if part.is_open:
                with suppress(OSError):  # a disk this broken: the next start cuts
                    part.cut_back()
        return stopped_by(error, f"write to {self._directory.path}", self._directory.path)

    def _unknown(self, error: Exception) -> CxaiError:
        """Return what is to be raised when nobody knows whether the batch is durable.

        The next start reads it off the ledger; a second fsync would prove nothing (it may succeed
        without having written).
        """
        path = self._directory.path
        told = stopped_by(error, f"make what was written to {path} durable", path)
        # Even for want of room: a sync that failed can't be tried again.
        return CommitError(str(told)) if isinstance(told, DiskFullError) else told

    def _count(self, outcomes: Collection[Outcome], extents: Sequence[Extent]) -> None:
        part_of = {extent.after.set: extent.after.number for extent in extents}
        recorded = part_of.get(self._form.record_sets[0], 0)
        failed = part_of.get(FAILURES, 0)
        run = self._run
        self._database.run_many(
            "write_outcome",
            (
                (o.entry.key, o.verdict.value, o.requests, run, recorded)
                if o.verdict is Verdict.OK
                else (o.entry.key, o.verdict.value, o.requests, run, failed)
                for o in outcomes
            ),
        )
        for extent in extents:
            self._write_part(extent.after)
            self._write_extent(extent)
        self._database.run(
            "note_progress", {"at": self._now(), "settled": len(outcomes), "run": self._run}
        )

    def _seal(self) -> None:
        self._refuse_displaced()
        self._rotate(at_least_bytes=1)
        # After those with lines: a disk that has no room for another file may have room for these.
        there = {part.set for part in self.parts() if part.sealed and self._is_there(part)}
        self._seal_sets(
            [name for sets in self._together if not there.issuperset(sets) for name in sets]
        )
        self._database.run("note_added", {"run": self._run})

    def _is_there(self, part: PartState) -> bool:
        return os.path.lexists(self._directory.path / part_name(part, self._form.compression))

    @property
    def _together(self) -> tuple[tuple[str, ...], ...]:
        """The sets that are sealed together: the rows of an ID have one number in all of them."""
        return self._form.record_sets, (FAILURES,)

    def _rotate(self, at_least_bytes: int) -> None:
        """Seal the parts that are large enough."""
        self._seal_sets(
            [
                name
                for sets in self._together
                if any(self._parts[other].state.bytes >= at_least_bytes for other in sets)
                for name in sets
            ]
        )

    def _seal_sets(self, names: Sequence[str]) -> None:
        """Seal the open parts of these sets: in the ledger first, then by name.

        One without rows becomes an empty file: a loader finds a file of each set.
        """
        if not names:
            return
        self._refuse_displaced()
        parts = [self._parts[name] for name in names]
        for part in parts:
            self._refuse_taken(self._final(part))
        if self._was_cut:
            self._cut_for_good()
        ends = self._write_empty([part for part in parts if not part.state.bytes])
        with self._database.transaction():
            for part in parts:
                state = part.state
                if (extent := ends.get(state.set)) is not None:
                    state = extent.after
                    if state.bytes:
                        self._write_extent(extent)
                self._write_part(state.as_sealed())
                self._write_part(PartState(state.set, state.number + 1))
        with self._never_again():  # the ledger is ahead of the names
            for part in parts:
                part.close()
                os.rename(part.path, self._final(part))  # noqa: PTH104 - one of a row of calls
                self._parts[part.state.set] = OpenPart(
                    self._directory.path,
                    PartState(part.state.set, part.state.number + 1),
                    self._form.compression,
                )
            self._directory.sync()

    @contextmanager
    def _never_again(self) -> Iterator[None]:
        """Let nothing in the block be tried again if it fails, even for want of room.

        Raises CommitError, after which the next start goes by the ledger.
        """
        try:
            yield
        except OSError as error:
            raise self._unknown(error) from error

    def _write_empty(self, parts: Sequence[OpenPart]) -> Mapping[str, Extent]:
        extents = {part.state.set: part.append([]) for part in parts}
        with self._never_again():
            for part in parts:
                part.sync()
            if parts:
                self._directory.sync()
        return extents

    def _final(self, part: OpenPart) -> Path:
        return self._directory.path / part_name(part.state.as_sealed(), self._form.compression)

    @staticmethod
    def _refuse_taken(final: Path) -> None:
        if os.path.lexists(final):
            raise IntegrityError(
                f"{final} is there already, and not from cxai. Move it away, and run the same"
                " command again."
            )

    def _refuse_displaced(self) -> None:
        refuse_displaced(self._directory, self._database, self._parts.values())

    def _cut_for_good(self) -> None:
        """Let no tail come back to a part that is to be sealed: it would be refused."""
        for part in self._parts.values():
            if part.is_open:
                part.cut_back()
                with self._never_again():
                    part.sync()
        self._was_cut = False

    def _write_part(self, state: PartState) -> None:
        self._database.run("write_part", state.as_row())

    def _write_extent(self, extent: Extent) -> None:
        self._database.run(
            "write_extent",
            {
                "set": extent.after.set,
                "number": extent.after.number,
                "offset": extent.offset,
                "crc32": extent.crc32,
            },
        )

    def _create(self) -> None:
        with self._database.transaction():
            self._database.create()
            self._database.run("write_export", {**self._form.as_row(), "created_at": self._now()})
            for name in PART_SETS[self._form.shape]:
                self._write_part(PartState(name, 1))
        self._directory.sync()

    def _now(self) -> str:
        return self._clock.utc().isoformat(timespec="seconds")
