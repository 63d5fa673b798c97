"""Where a ledger may be kept. Another engine is one adapter of the port, and one line here."""

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
"""What opens the ledger at a location, by the scheme of that location."""


def open_database(location: Path | str) -> Database:
    """Open a ledger; one that is not there yet is created, without anything in it.

    Raises UsageError if no engine is known for the location, IntegrityError if what is there is
    damaged or no ledger, StoppedError if it can't be used now.
    """
    scheme, is_url, _ = str(location).partition("://")
    opener = DATABASES.get(scheme if is_url else "")
    if opener is None:
        known = ", ".join(f"{name}://" if name else "a local directory" for name in DATABASES)
        raise UsageError(f"No ledger can be kept at {location}: it has to be {known}.")
    return opener(str(location))
