"""The parts of an export, as its ledger has them."""

from collections.abc import Iterator

from worker.ledger.sqlite import Database
from worker.output.parts import PartState


def parts_of(database: Database) -> Iterator[PartState]:
    """Yield what is committed of each part, in order of sets and numbers."""
    for name, number, size, records, sha256, sealed, released_at in database.rows("read_parts"):
        yield PartState(name, number, size, records, sha256, bool(sealed), released_at)
