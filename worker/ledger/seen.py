"""The distinct IDs of one input, on disk: memory stays flat however many there are."""

import sqlite3
from pathlib import Path
from typing import Self

from worker.ledger.sqlite import SMALL_CACHE


class Seen:
    """A set of keys in a scratch file, gone when it is closed. Not durable, and need not be."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / ".seen"
        self._path.unlink(missing_ok=True)
        self._path.touch(mode=0o600)
        self._connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode = OFF", "synchronous = OFF", SMALL_CACHE):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE seen (key ANY PRIMARY KEY) STRICT, WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def add(self, key: bytes | str) -> bool:
        """Return whether `key` is new, and keep it."""
        added = self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,))
        return added.rowcount == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the set."""
        self._connection.close()
        self._path.unlink(missing_ok=True)
