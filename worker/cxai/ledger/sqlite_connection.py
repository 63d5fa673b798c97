"""The connection of a ledger to its SQLite file: durable transactions, and failures as values."""

import errno
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from cxai.errors import CxaiError, IntegrityError, StopCause, StoppedError
from cxai.ledger.disk_failure import (
    DatabaseError,
    DiskFailure,
    Shortage,
    advice_on,
    failure_of,
    has_no_inodes,
)
from cxai.output.private import is_displaced, open_private

SMALL_CACHE = "cache_size = -512"
"""In KiB. Keys are random, so a larger cache finds no more of them: SQLite's 2 MiB took 3 MB more
at a million IDs, and were no faster."""

# Pages of 4 KiB in the log before a checkpoint. It writes them in order, and of more pages more are
# neighbours: with SQLite's own 1,000 an ID takes 3 us more at a million. 4,000 are 16 MiB and delay
# a commit by 0.1 s (1,000 by 0.05 s); 8,000 gain little and took up to 0.7 s.
_LOG_PAGES = 4_000

Values = Mapping[str, Any] | tuple[Any, ...]


def database_error(error: sqlite3.Error, directory: Path) -> DatabaseError:
    """Return what an error of SQLite with a file in `directory` means."""
    code = getattr(error, "sqlite_errorcode", 0)
    shortage = Shortage.BYTES if code == sqlite3.SQLITE_FULL else None
    # SQLite also reports CANTOPEN if it can't create a second file beside the first.
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN} and has_no_inodes(directory):
        shortage = Shortage.INODES
    is_read_only = code & 0xFF == sqlite3.SQLITE_READONLY
    advice = advice_on(shortage, errno.EROFS if is_read_only else 0)
    is_damage = type(error) is sqlite3.DatabaseError  # its subclasses are the disk's, or ours
    return DatabaseError(DiskFailure(str(error), advice, shortage, is_damage))


@cache
def _queries() -> Mapping[str, str]:
    text = (files(__package__) / "sqlite.sql").read_text(encoding="utf-8")
    _, *named = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(named[::2], named[1::2], strict=True))


class Connection:
    """Executes the queries that sqlite.sql names, on one thread at a time.

    Opening it raises IntegrityError if the file is damaged or not a ledger, StoppedError if it
    can't be used now. All methods raise DatabaseError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sql = _queries()
        if path.is_symlink():
            raise IntegrityError(f"{path} is a symbolic link. Move the ledger itself there.")
        try:
            os.close(open_private(path, os.O_RDWR | os.O_CREAT))
            self._ours = path.lstat()
        except OSError as error:
            raise self._unusable(failure_of(error, path.parent)) from error
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._unusable(database_error(error, path.parent).failure) from error
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        # EXCLUSIVE: a second connection, which could meet SQLite's WAL-reset bug, can't exist.
        self._demand("locking_mode = EXCLUSIVE", "exclusive")
        tables = self._connection.execute("SELECT name FROM sqlite_schema").fetchall()
        if tables and ("export",) not in tables:
            raise IntegrityError(
                f"{self.path} is a SQLite database, but not a ledger of cxai. Choose another"
                " directory."
            )
        self._demand("journal_mode = WAL", "wal")
        self._connection.execute(f"PRAGMA {SMALL_CACHE}")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA fullfsync = ON")  # for macOS: see output/durable.py
        (synchronous,) = self._connection.execute("PRAGMA synchronous").fetchone()
        if synchronous != 2:  # noqa: PLR2004 - SQLite's number for FULL
            raise IntegrityError(f"{self.path}: SQLite refuses synchronous = FULL.")

    def _demand(self, pragma: str, expected: str) -> None:
        (got,) = self._connection.execute(f"PRAGMA {pragma}").fetchone()
        if got != expected:
            raise IntegrityError(f"{self.path}: SQLite refuses {pragma} (it is {got}).")

    @property
    def is_displaced(self) -> bool:
        """Whether its file was moved, removed or replaced. Raises OSError."""
        return is_displaced(self.path, self._ours)

    @contextmanager
    def transaction(self) -> Iterator[None]:
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
            raise database_error(error, self.path.parent) from error

    def run_script(self, query: str) -> None:
        """Execute the statements of a named query, within a transaction."""
        statement = ""  # sqlite3's own executescript would commit before them
        for line in self._sql[query].splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                self._connection.execute(statement)
                statement = ""

    def run(self, query: str, values: Values) -> sqlite3.Cursor:
        """Execute a named query, within a transaction."""
        return self._connection.execute(self._sql[query], values)

    def run_many(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute a named query once per row, within a transaction."""
        self._connection.executemany(self._sql[query], rows)

    def one(self, query: str, values: Values = ()) -> Any:
        """Return the first row of a named query, None if there is none."""
        return next(iter(self.all(query, values)), None)

    def all(self, query: str, values: Values = ()) -> list[Any]:
        """Return all rows of a named query."""
        try:
            return self._connection.execute(self._sql[query], values).fetchall()
        except sqlite3.Error as error:
            raise database_error(error, self.path.parent) from error

    def close(self) -> None:
        """Close the connection; what is committed stays."""
        with suppress(sqlite3.Error):  # the next start reads a log that was not checkpointed
            self._connection.close()

    def _unusable(self, failure: DiskFailure) -> CxaiError:
        if failure.is_damage:
            return IntegrityError(f"{self.path} can't be read as a ledger: {failure.reason}.")
        return StoppedError(
            f"{self.path} can't be used: {failure.reason}. Nothing is lost: {failure.advice}, and"
            " run the same command again.",
            StopCause.DISK,
        )
