"""The ledger's database: one SQLite file, one connection, every commit durable."""

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cxai.errors import CxaiError, IntegrityError, StopCause, StoppedError
from cxai.ledger.trouble import advice, is_damage, reason
from cxai.output.private import open_private

FORMAT = 2
"""Of the tables in ledger.sql; a ledger of another format is refused."""

SMALL_CACHE = "cache_size = -512"
"""In KiB. Keys are random, so a larger cache holds no more of what is needed, but takes its room:
SQLite's 2 MiB were 3 MB more at a million IDs, and no faster."""


def _queries() -> dict[str, str]:
    text = (files(__package__) / "ledger.sql").read_text(encoding="utf-8")
    _, *named = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return dict(zip(named[::2], named[1::2], strict=True))


class Database:
    """The one connection to a ledger.

    Raises IntegrityError if the file is damaged or is no ledger, StoppedError if it can't be used
    now: on opening, and of what happens in a `with` block. Elsewhere failures of SQLite come as
    sqlite3.Error. Use it on one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sql = _queries()
        if path.is_symlink():
            raise IntegrityError(f"{path} is a symbolic link; put the ledger itself there.")
        try:
            os.close(open_private(path, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            raise self._told(error) from error
        self._inode = path.lstat().st_ino
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._told(error) from error
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

    @property
    def is_displaced(self) -> bool:
        """Whether something else, or nothing, stands under its name by now. Raises OSError."""
        try:
            return self._path.lstat().st_ino != self._inode
        except FileNotFoundError:
            return True

    @property
    def is_new(self) -> bool:
        """Whether there are no tables yet."""
        return not self._connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()

    def create(self) -> None:
        """Make the tables (inside the caller's transaction)."""
        statement = ""
        for line in self._sql["schema"].splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                self._connection.execute(statement)
                statement = ""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; durable when it ends without an error."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # SQLite has rolled back itself after some errors
                self._connection.execute("ROLLBACK")
            raise

    def run(self, query: str, values: Mapping[str, Any]) -> int:
        """Execute a named query; return the row ID that it inserted, if it did."""
        return self._connection.execute(self._sql[query], values).lastrowid or 0

    def change(self, query: str, values: Mapping[str, Any]) -> int:
        """Execute a named query; return how many rows it changed."""
        return self._connection.execute(self._sql[query], values).rowcount

    def run_many(self, query: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute a named query once per row."""
        self._connection.executemany(self._sql[query], rows)

    def rows(self, query: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> Any:
        """Return a cursor over the rows of a named query."""
        return self._connection.execute(self._sql[query], values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):
            raise self._told(error) from error

    def close(self) -> None:
        """Close the connection; what is committed stays."""
        with suppress(sqlite3.Error):  # the log that it could not fold in is read at the next start
            self._connection.close()

    def _told(self, error: sqlite3.Error | OSError) -> CxaiError:
        if is_damage(error):
            return IntegrityError(f"{self._path} can't be read as a ledger: {error}.")
        return StoppedError(
            f"{self._path} can't be used: {reason(error)}. Nothing is lost:"
            f" {advice(error, self._path.parent)}, and run the same command again.",
            StopCause.DISK,
        )
