"""The commit protocol of one machine: files and ledger become one.

A batch is written behind the committed end of each part, made durable, and then counted by one
transaction of the ledger. Until that transaction is durable nothing of the batch exists: the next
start cuts the files back to what the ledger says. Nothing here is async; one thread calls it.
"""

import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson

from worker.domain.entry import Entry
from worker.domain.records import PART_SETS, SCHEMA_VERSION, Shape
from worker.domain.verdict import OPEN_AGAIN, Outcome, Verdict
from worker.errors import CommitError, DiskFullError, IntegrityError, UsageError
from worker.ledger.recovery import recover_parts, refuse_parts_without_ledger, rescue
from worker.ledger.seen import Seen
from worker.ledger.sqlite import FORMAT, LEDGER_NAME, Database, is_damage, is_no_room
from worker.output.compression import Compression
from worker.output.directory import OutputDirectory
from worker.output.parts import Extent, OpenPart, PartState, part_name
from worker.ports import Admission, Clock


@dataclass(frozen=True, slots=True)
class ExportForm:
    """What all runs into one directory have in common."""

    shape: Shape
    compression: Compression


@contextmanager
def _stopping(what: str) -> Iterator[None]:
    """Turn a failure of the disk or of SQLite into an end of the run that says what to do."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if is_damage(error):
            raise IntegrityError(f"Can't {what}: the ledger is damaged ({error}).") from error
        raise CommitError(
            f"Can't {what}: {error.strerror if isinstance(error, OSError) else error}."
            " Nothing is lost: make room or mend the disk, and run the same command again."
        ) from error


class Store:
    """Ledger and parts of one output directory, of which the caller holds the lock.

    Opening it recovers (worker/ledger/recovery.py) and may raise IntegrityError; UsageError if
    the directory holds an export of another form; CommitError if the disk fails. `reopen` are
    verdicts that are to be asked again, beside those that always are. A part of `part_bytes` or
    more is sealed.
    """

    def __init__(
        self,
        directory: OutputDirectory,
        form: ExportForm,
        clock: Clock,
        *,
        part_bytes: int,
        reopen: Collection[Verdict] = (),
    ) -> None:
        self._directory = directory
        self._form = form
        self._clock = clock
        self._part_bytes = part_bytes
        self._names_are_new = False  # of parts that were begun, until the directory is synced
        self._was_cut = False  # a batch was cut off, and nobody knows whether that is durable
        self._open_again = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}
        with _stopping(f"open the export in {directory.path}"):
            ledger = directory.path / LEDGER_NAME
            if not ledger.exists():
                refuse_parts_without_ledger(directory.path)
            self._database = Database(ledger)
            try:
                self._recover()
            except BaseException:
                self._database.close()
                raise

    def _recover(self) -> None:
        if self._database.is_new:
            refuse_parts_without_ledger(self._directory.path)
            self._create()
        self._refuse_other_form()
        self._parts = recover_parts(self._directory, list(self.parts()), self._form.compression)
        self._seen = Seen(self._directory.path)
        self._has_earlier_runs = self._database.rows("read_any_outcome").fetchone() is not None
        self._run = self._database.run("start_run", {"at": self._now()})

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Tell duplicates, entries settled by an earlier run, and those to be done.

        Raises CommitError when the disk fails.
        """
        with _stopping(f"look up IDs in {self._directory.path}"):
            return self._admit(entries)

    def _admit(self, entries: Sequence[Entry]) -> Admission:
        fresh: list[Entry] = []
        suspects: set[bytes | str] = set()
        duplicates = 0
        settled: Counter[Verdict] = Counter()
        for entry in entries:
            if not self._seen.add(entry.key):
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
        self._refuse_displaced()
        try:
            self._rotate(self._part_bytes)
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
            if is_no_room(error):
                raise self._taken_back(error) from error
            raise self._unknown(error) from error
        except (OSError, sqlite3.Error) as error:
            raise self._unknown(error) from error
        for name in lines:
            self._parts[name].advance()

    def parts(self) -> Iterable[PartState]:
        """Return what is committed of each part, in order of sets and numbers."""
        for set_name, number, size, records, sha256, sealed in self._database.rows("read_parts"):
            yield PartState(set_name, number, size, records, sha256, bool(sealed))

    def verdicts(self) -> dict[str, int]:
        """Return how many IDs (and invalid lines) of all inputs have which verdict."""
        return dict(self._database.rows("count_verdicts"))

    def settled(self) -> int:
        """Return how many outcomes of this run are committed. Raises CommitError."""
        with _stopping(f"count what is committed in {self._directory.path}"):
            (settled,) = self._database.rows("read_settled", {"run": self._run}).fetchone()
            return int(settled)

    def seal(self) -> None:
        """Seal all parts. Raises CommitError."""
        with _stopping(f"seal the parts in {self._directory.path}"):
            self._rotate(at_least_bytes=1)

    def end_run(self, ended: str, tally: Mapping[str, Any]) -> None:
        """Seal all parts that are not, and note how the run ended. Raises CommitError."""
        with _stopping(f"seal the parts in {self._directory.path}"):
            self._rotate(at_least_bytes=1)
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

    def _taken_back(self, error: Exception) -> CommitError:
        """Cut the batch off that could not be written; return what is to be raised."""
        self._was_cut = True
        for part in self._parts.values():
            if part.is_open:
                with suppress(OSError):  # a disk this broken: the next start cuts
                    part.cut_back()
        kind = DiskFullError if is_no_room(error) else CommitError
        return kind(
            f"Can't write to {self._directory.path}: {error}."
            " Nothing is lost: make room or mend the disk, and run the same command again."
        )

    def _unknown(self, error: Exception) -> CommitError:
        """Return what is to be raised when nobody knows whether the batch is durable.

        The next start reads it off the ledger; a second fsync would prove nothing (it may succeed
        without having written).
        """
        return CommitError(
            f"Can't make {self._directory.path} durable: {error}."
            " Nothing is lost: mend the disk, and run the same command again."
        )

    def _count(self, outcomes: Collection[Outcome], extents: Iterable[Extent]) -> None:
        self._database.run_many(
            "write_outcome",
            ((o.entry.key, o.verdict.value, o.requests, self._run) for o in outcomes),
        )
        for extent in extents:
            self._write_part(extent.after)
            self._database.run(
                "write_extent",
                {
                    "set": extent.after.set,
                    "number": extent.after.number,
                    "offset": extent.offset,
                    "crc32": extent.crc32,
                },
            )
        self._database.run(
            "note_progress", {"at": self._now(), "settled": len(outcomes), "run": self._run}
        )

    def _rotate(self, at_least_bytes: int) -> None:
        """Seal the parts that are large enough: in the ledger first, then by name."""
        full = [part for part in self._parts.values() if part.state.bytes >= at_least_bytes]
        if not full:
            return
        self._refuse_displaced()
        for part in full:
            self._refuse_taken(self._final(part))
        if self._was_cut:
            self._cut_for_good()
        with self._database.transaction():
            for part in full:
                self._write_part(part.state.as_sealed())
                self._write_part(PartState(part.state.set, part.state.number + 1))
        for part in full:
            part.close()
            os.rename(part.path, self._final(part))  # noqa: PTH104 - one of a row of system calls
            self._parts[part.state.set] = OpenPart(
                self._directory.path,
                PartState(part.state.set, part.state.number + 1),
                self._form.compression,
            )
        self._directory.sync()

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
        """Refuse to go on, and save what can be saved, if files were moved under the run."""
        for part in self._parts.values():
            if part.is_displaced:
                raise IntegrityError(
                    f"{part.path} was removed or replaced while the run wrote to it."
                    f" Its {part.state.records} committed lines are in {self._rescued(part)}: move"
                    " that file back to its place, and run the same command again."
                )
        if self._database.is_displaced:
            raise IntegrityError(
                f"{self._directory.path / LEDGER_NAME} was removed or replaced while the run wrote"
                " to it. Bring it back, or export into a new directory."
            )

    def _rescued(self, part: OpenPart) -> str:
        try:
            return str(rescue(self._directory.path, part))
        except OSError as error:
            return f"no place ({error.strerror})"

    def _cut_for_good(self) -> None:
        """Let no tail come back to a part that is to be sealed: it would be refused."""
        for part in self._parts.values():
            if part.is_open:
                part.cut_back()
                part.sync()
        self._was_cut = False

    def _write_part(self, state: PartState) -> None:
        self._database.run("write_part", state.as_row())

    def _create(self) -> None:
        with self._database.transaction():
            self._database.create()
            self._database.run(
                "write_export",
                {
                    "format": FORMAT,
                    "schema_version": SCHEMA_VERSION,
                    "shape": self._form.shape.value,
                    "compression": self._form.compression.value,
                    "created_at": self._now(),
                },
            )
            for name in PART_SETS[self._form.shape]:
                self._write_part(PartState(name, 1))
        self._directory.sync()

    def _refuse_other_form(self) -> None:
        format_, schema_version, shape, compression = self._database.rows("read_export").fetchone()
        mine = (FORMAT, SCHEMA_VERSION, self._form.shape.value, self._form.compression.value)
        for what, there, here in zip(
            ("ledger format", "schema version", "shape", "compression"),
            (format_, schema_version, shape, compression),
            mine,
            strict=True,
        ):
            if there != here:
                raise UsageError(
                    f"{self._directory.path} holds an export with {what} {there}, not {here}."
                    f" Ask for {there}, or export into a new directory."
                )

    def _now(self) -> str:
        return self._clock.utc().isoformat(timespec="seconds")
