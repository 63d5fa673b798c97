"""The engines that keep ledgers. Another engine is one adapter of the port, and one line here."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cxai.errors import UsageError
from cxai.ledger.port import Database


def _sqlite(location: str) -> Database:
    from cxai.ledger.sqlite import SqliteDatabase
    from cxai.output.contents import LEDGER_NAME

    return SqliteDatabase(Path(location) / LEDGER_NAME)


DATABASES: Mapping[str, Callable[[str], Database]] = {
    "": _sqlite,  # the path of an output directory
}
"""Opens the ledger at a location, by the scheme of that location."""


def open_database(location: Path | str) -> Database:
    """Open a ledger; if there is none yet, create an empty one.

    Raises UsageError for a location without an engine, IntegrityError if the file there is damaged
    or not a ledger, StoppedError if it can't be used now.
    """
    scheme, is_url, _ = str(location).partition("://")
    opener = DATABASES.get(scheme if is_url else "")
    if opener is None:
        known = ", ".join(f"{name}://" if name else "a local directory" for name in DATABASES)
        raise UsageError(f"A ledger can't be kept at {location}, only in {known}.")
    return opener(str(location))
