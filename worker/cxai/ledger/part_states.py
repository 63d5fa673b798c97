"""The parts of an export, as its ledger has them."""

from collections.abc import Iterator, Mapping

from cxai.ledger.sqlite import Database
from cxai.output.parts import PartState


def parts_of(database: Database) -> Iterator[PartState]:
    """Yield what is committed of each part, in order of sets and numbers."""
    for name, number, size, records, sha256, sealed, released_at in database.rows("read_parts"):
        yield PartState(name, number, size, records, sha256, bool(sealed), released_at)


def added_by(database: Database) -> Mapping[tuple[str, int], str]:
    """Return, by set and number of each sealed part, the ID of the run that finished it.

    That is the first run that came to an orderly end with the part in it, whichever runs wrote its
    rows.
    """
    rows = database.rows("read_added")
    return {(set_name, number): run_id for set_name, number, run_id in rows}
