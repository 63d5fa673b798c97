"""A set of IDs on disk: memory stays flat however many there are."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from cxai.ledger.port import Key
from cxai.ledger.sqlite_connection import SMALL_CACHE, database_error
from cxai.output.contents import SEEN_NAME
from cxai.output.private import open_private

# A transaction keeps the pages that it changes in memory, 4 KiB for each key at most.
_BLOCK_KEYS = 256

_PRAGMAS = ("journal_mode = MEMORY", "synchronous = OFF", "locking_mode = EXCLUSIVE", SMALL_CACHE)


class DistinctKeys:
    """A set of keys in a scratch file, which the first key creates and `close` deletes.

    Not durable, and need not be. Raises DatabaseError as a ledger does, and OSError for the file
    itself; after either the same call may be made again.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / SEEN_NAME
        self._path.unlink(missing_ok=True)  # of a run that was killed
        self._connection: sqlite3.Connection | None = None
        self._added: list[bool] = []  # for the keys of a block that could not be added whole

    def add(self, key: Key) -> bool:
        """Add `key` and return whether it is new."""
        with self._translated():
            return _insert(self._opened(), key)

    def add_all(self, keys: Sequence[Key]) -> list[bool]:
        """Add all keys and return, for each, whether it is new.

        After a failure the next call has to be the same one, with the same keys.
        """
        added = self._added
        while len(added) < len(keys):
            with self._translated():
                added += _add_some(self._opened(), keys[len(added) : len(added) + _BLOCK_KEYS])
        self._added = []
        return added

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _create(self._path)
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise database_error(error, self._path.parent) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the set. A file that can't be deleted is no reason to fail."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _create(path: Path) -> sqlite3.Connection:
    """Create the file, in place of one that an earlier attempt left."""
    path.unlink(missing_ok=True)
    os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # The journal lets an insert that finds the disk full be undone, and tried again.
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE seen (key ANY PRIMARY KEY) STRICT, WITHOUT ROWID")
    except BaseException:
        connection.close()
        raise
    return connection


def _add_some(connection: sqlite3.Connection, keys: Sequence[Key]) -> list[bool]:
    connection.execute("BEGIN")
    try:
        added = [_insert(connection, key) for key in keys]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back itself after some errors
            connection.execute("ROLLBACK")
        raise
    return added


def _insert(connection: sqlite3.Connection, key: Key) -> bool:
    return connection.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount == 1
