"""The ledger's database in SQLite: one file, one connection, every change durable."""

import errno
import os
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import orjson

from cxai.core.layout import FAILURES, BandsMark, Layout
from cxai.core.outcome import Outcome
from cxai.errors import CxaiError, IntegrityError, StopCause, StoppedError, UsageError
from cxai.ledger.form import ExportForm
from cxai.ledger.port import Key, Run
from cxai.ledger.trouble import (
    DatabaseError,
    DiskTrouble,
    Lack,
    advice_on,
    has_no_inodes,
    trouble_of,
)
from cxai.output.compression import Compression
from cxai.output.displaced import is_displaced
from cxai.output.part_state import Extent, PartState
from cxai.output.private import open_private
from cxai.policy.verdict import Verdict

FORMAT = 2
"""Of the tables in sqlite.sql; a ledger of another format is refused."""

SMALL_CACHE = "cache_size = -512"
"""In KiB. Keys are random, so a larger cache holds no more of what is needed, but takes its room:
SQLite's 2 MiB were 3 MB more at a million IDs, and no faster."""

_Values = Mapping[str, Any] | tuple[Any, ...]


@cache
def _queries() -> Mapping[str, str]:
    text = (files(__package__) / "sqlite.sql").read_text(encoding="utf-8")
    _, *named = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(named[::2], named[1::2], strict=True))


def database_error(error: sqlite3.Error, directory: Path) -> DatabaseError:
    """Return what a failure of SQLite with a file in `directory` means."""
    code = getattr(error, "sqlite_errorcode", 0)
    lack = Lack.BYTES if code == sqlite3.SQLITE_FULL else None
    # SQLite can't open a file, too, if it can't create another one next to it.
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN} and has_no_inodes(directory):
        lack = Lack.INODES
    is_read_only = code & 0xFF == sqlite3.SQLITE_READONLY
    advice = advice_on(lack, errno.EROFS if is_read_only else 0)
    is_damage = type(error) is sqlite3.DatabaseError  # its subclasses are of the disk, or ours
    return DatabaseError(DiskTrouble(str(error), advice, lack, is_damage))


class SqliteDatabase:
    """Adapter of port.OpenedDatabase: the one connection to a ledger.

    Opening it raises IntegrityError if the file is damaged or is no ledger, StoppedError if it
    can't be used now. Use it on one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sql = _queries()
        if path.is_symlink():
            raise IntegrityError(f"{path} is a symbolic link; put the ledger itself there.")
        try:
            os.close(open_private(path, os.O_RDWR | os.O_CREAT))
            self._ours = path.lstat()
        except OSError as error:
            raise self._unusable(trouble_of(error, path.parent)) from error
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._unusable(database_error(error, path.parent).trouble) from error
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        # EXCLUSIVE: a second connection, which could meet SQLite's WAL-reset bug, can't exist.
        self._demand("locking_mode = EXCLUSIVE", "exclusive")
        tables = self._connection.execute("SELECT name FROM sqlite_schema").fetchall()
        if tables and ("export",) not in tables:
            raise IntegrityError(
                f"{self._path} is a database, but not a ledger of cxai. Name another directory."
            )
        self._demand("journal_mode = WAL", "wal")
        self._connection.execute(f"PRAGMA {SMALL_CACHE}")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA fullfsync = ON")  # for macOS: see output/durable.py
        (synchronous,) = self._connection.execute("PRAGMA synchronous").fetchone()
        if synchronous != 2:  # noqa: PLR2004 - SQLite's number for FULL
            raise IntegrityError(f"{self._path}: SQLite refuses synchronous = FULL.")

    def _demand(self, pragma: str, expected: str) -> None:
        (got,) = self._connection.execute(f"PRAGMA {pragma}").fetchone()
        if got != expected:
            raise IntegrityError(f"{self._path}: SQLite refuses {pragma} (it is {got}).")

    # --- the export ---

    @property
    def is_new(self) -> bool:
        return self._one("read_any_table") is None

    @property
    def is_displaced(self) -> bool:
        return is_displaced(self._path, self._ours)

    def create(self, form: ExportForm, at: str) -> None:
        with self._transaction():
            for statement in _statements(self._sql["schema"]):
                self._connection.execute(statement)
            self._run("write_export", {**_row_of_form(form), "created_at": at})
            for name in form.sets:
                self._write_part(PartState(name, 1))

    def form(self, layout: Layout) -> ExportForm:
        directory = self._path.parent
        versions = self._one("read_format")
        if versions is None:
            raise IntegrityError(
                f"{directory}: the ledger is damaged (it has no form of its rows)."
            )
        _refuse_other_version(versions, (FORMAT, layout.schema_version), directory)
        resource, shape, compression, origin, bands, bands_name = self._one("read_form")
        if resource == layout.resource and shape not in layout.shapes:
            raise IntegrityError(f"{directory}: the ledger is damaged ({shape!r} is no shape).")
        try:
            compressed = Compression(compression)
        except ValueError as error:
            raise IntegrityError(f"{directory}: the ledger is damaged ({error}).") from None
        of_rows = Layout(resource, layout.schema_version, layout.shapes)
        return ExportForm(of_rows, shape, compressed, origin, BandsMark(bands, bands_name))

    def move(self, form: ExportForm) -> None:
        with self._transaction():
            self._run("move_export", _row_of_form(form))

    # --- outcomes ---

    def has_outcomes(self) -> bool:
        return self._one("read_any_outcome") is not None

    def has_answers(self) -> bool:
        return self._one("read_any_answer") is not None

    def outcome(self, key: Key) -> tuple[str, int] | None:
        row: tuple[str, int] | None = self._one("read_outcome", (key,))
        return row

    def verdicts(self) -> Mapping[str, int]:
        return dict(self._all("count_verdicts"))

    def verdicts_in_place(self, main_set: str) -> Mapping[str, int]:
        return dict(self._all("count_verdicts_in_place", {"main_set": main_set}))

    def outcomes_by_run(self) -> Mapping[int, int]:
        return dict(self._all("count_by_run"))

    def unfetched(self, most: int = 0) -> tuple[int, Sequence[Key]]:
        (ids,) = self._one("count_unfetched") or (0,)
        some = self._all("read_unfetched", {"most": most}) if ids and most else []
        return ids, [key for (key,) in some]

    # --- parts ---

    def parts(self) -> Sequence[PartState]:
        return [
            PartState(name, number, size, records, sha256, bool(sealed), released_at, run_id)
            for name, number, size, records, sha256, sealed, released_at, run_id in self._all(
                "read_parts"
            )
        ]

    def extents(self, part: PartState) -> Sequence[tuple[int, int]]:
        return self._all("read_extents", _name_of(part))

    def commit(
        self,
        run: int,
        outcomes: Collection[Outcome],
        extents: Collection[Extent],
        at: str,
        *,
        recorded: int,
        failed: int,
    ) -> None:
        with self._transaction():
            self._connection.executemany(
                self._sql["write_outcome"],
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
            self._run("note_progress", {"at": at, "settled": len(outcomes), "run": run})

    def seal(self, parts: Collection[PartState], empty: Collection[Extent]) -> None:
        with self._transaction():
            for extent in empty:
                if extent.after.bytes:  # of a compressed part: even that without rows has some
                    self._write_extent(extent)
            for part in parts:
                self._write_part(part.as_sealed())
                self._write_part(part.following())

    def withdraw(self, parts: Collection[PartState]) -> int:
        ids = 0
        with self._transaction():
            for part in parts:
                self._run("withdraw_part", _name_of(part))
                self._run("withdraw_extents", _name_of(part))
                if not part.sealed:  # each set has one that is open
                    self._write_part(part.following())
            for rows, number in {(_rows_of(part), part.number) for part in parts}:
                self._run(f"note_{rows}", {"number": number})
                ids += self._run(f"forget_{rows}", {"number": number}).rowcount
        return ids

    def finish_parts(self, run: int) -> None:
        with self._transaction():
            self._run("finish_parts", {"run": run})

    def release(self, parts: Collection[PartState], at: str) -> None:
        with self._transaction():
            for part in parts:
                self._run("release_part", {"at": at, **_name_of(part)})

    def _write_part(self, part: PartState) -> None:
        amounts = {"bytes": part.bytes, "records": part.records, "sha256": part.sha256}
        self._run("write_part", {**_name_of(part), **amounts, "sealed": part.sealed})

    def _write_extent(self, extent: Extent) -> None:
        place = {"offset": extent.offset, "crc32": extent.crc32}
        self._run("write_extent", {**_name_of(extent.after), **place})

    # --- runs ---

    def start_run(self, run_id: str, at: str) -> int:
        with self._transaction():
            return self._run("start_run", {"run_id": run_id, "at": at}).lastrowid or 0

    def settled(self, run: int) -> int:
        (settled,) = self._one("read_settled", {"run": run}) or (0,)
        return int(settled)

    def end_run(self, run: int, ended: str, report: Mapping[str, Any], at: str) -> None:
        tally = orjson.dumps(report).decode()
        with self._transaction():
            self._run("end_run", {"run": run, "ended": ended, "tally": tally, "at": at})

    def runs(self) -> Sequence[Run]:
        return [
            Run(number, run_id, started_at, seen_at, settled, ended, _report(tally))
            for number, run_id, started_at, seen_at, settled, ended, tally in self._all("read_runs")
        ]

    # --- the file ---

    def problems(self) -> Sequence[str]:
        return [problem for (problem,) in self._all("check_integrity") if problem != "ok"]

    def close(self) -> None:
        with suppress(sqlite3.Error):  # the log that it could not fold in is read at the next start
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; durable when it ends without an error."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back itself after some errors
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise database_error(error, self._path.parent) from error

    def _run(self, query: str, values: _Values) -> sqlite3.Cursor:
        """Execute a named query within a transaction."""
        return self._connection.execute(self._sql[query], values)

    def _one(self, query: str, values: _Values = ()) -> Any:
        """Return the first row of a named query, None if there is none."""
        try:
            return self._connection.execute(self._sql[query], values).fetchone()
        except sqlite3.Error as error:
            raise database_error(error, self._path.parent) from error

    def _all(self, query: str, values: _Values = ()) -> list[Any]:
        """Return all rows of a named query."""
        try:
            return self._connection.execute(self._sql[query], values).fetchall()
        except sqlite3.Error as error:
            raise database_error(error, self._path.parent) from error

    def _unusable(self, trouble: DiskTrouble) -> CxaiError:
        if trouble.is_damage:
            return IntegrityError(f"{self._path} can't be read as a ledger: {trouble.reason}.")
        return StoppedError(
            f"{self._path} can't be used: {trouble.reason}. Nothing is lost: {trouble.advice}, and"
            " run the same command again.",
            StopCause.DISK,
        )


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script: sqlite3's own executescript would commit before it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _refuse_other_version(there: tuple[int, int], here: tuple[int, int], directory: Path) -> None:
    if there == here:
        return
    newer = there[0] > here[0] or there[1] > here[1]
    by = "a newer version of cxai-worker" if newer else "an older version of cxai-worker (0.1)"
    raise UsageError(
        f"{directory} holds an export of {by}: ledger format {there[0]} and schema version"
        f" {there[1]}, where this version has {here[0]} and {here[1]}. Finish it with that version,"
        " or export into a new directory."
    )


def _row_of_form(form: ExportForm) -> Mapping[str, str | int]:
    return {
        "format": FORMAT,
        "schema_version": form.layout.schema_version,
        "resource": form.layout.resource,
        "shape": str(form.shape),
        "compression": form.compression.value,
        "origin": form.origin,
        "bands": form.bands.digest,
        "bands_name": form.bands.name,
    }


def _name_of(part: PartState) -> dict[str, str | int]:
    return {"set": part.set, "number": part.number}


def _rows_of(part: PartState) -> str:
    return "failures" if part.set == FAILURES else "records"


def _report(tally: str | None) -> Mapping[str, Any]:
    try:
        report = orjson.loads(tally or "{}")
    except orjson.JSONDecodeError:
        return {}
    return report if isinstance(report, dict) else {}
