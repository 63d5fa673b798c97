"""The sealing of parts: when they are large or old enough, and at the end of a run.

The database is first, the names follow; the next start completes what a crash interrupts. So a
failure after the database is not tried again.

The sets that hold the rows of a result are sealed together, so that all rows of an ID are in parts
with the same number. A part without rows becomes an empty file when another of its group is sealed,
and at the end of a run if its set has no file yet.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxai.core.layout import FAILURES
from cxai.errors import IntegrityError
from cxai.ledger.disk_failure import stopping_for_good
from cxai.ledger.displaced import refuse_displaced
from cxai.ledger.form import ExportForm
from cxai.ledger.open_parts import OpenParts
from cxai.ledger.part_ages import PartAges
from cxai.ledger.port import Database
from cxai.output.parts import as_named


@dataclass(slots=True)
class Rotation:
    """Seals the open parts of a run.

    A part of `part_bytes` or more is large; `ages` decides which are old. `has_unlisted` is whether
    parts were sealed since it was last set to False.
    Raises OSError and DatabaseError; IntegrityError if a file of the export was moved or replaced,
    or another file already has the final name; CommitError if only the next start can find out what
    is durable.
    """

    parts: OpenParts
    database: Database
    form: ExportForm
    part_bytes: int
    ages: PartAges
    has_unlisted: bool = False
    together: tuple[tuple[str, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        self.together = (self.form.record_sets, (FAILURES,))

    def seal_large(self) -> None:
        """Seal the parts that are large enough, and those with other rows of the same results."""
        self._seal(self._of_at_least(self.part_bytes))

    def seal_old(self) -> None:
        """Seal the parts that are old enough, and those with other rows of the same results."""
        self._seal([name for sets in self.together if self.ages.are_old(sets) for name in sets])

    def seal_all(self) -> None:
        """Seal all parts with rows; a set that has no file gets an empty one."""
        refuse_displaced(self.parts, self.database)
        self._seal(self._of_at_least(1))
        # After those with rows, which need no new file: the disk may be out of inodes.
        path, compression = self.parts.directory.path, self.form.compression
        sealed = [part for part in self.database.parts() if part.sealed]
        there = {part.set for part in sealed if as_named(path, part, compression) is not None}
        self._seal([name for sets in self.together if not there.issuperset(sets) for name in sets])

    def _of_at_least(self, size: int) -> list[str]:
        return [
            name
            for sets in self.together
            if any(self.parts.state(other).bytes >= size for other in sets)
            for name in sets
        ]

    def _seal(self, sets: Sequence[str]) -> None:
        if not sets:
            return
        refuse_displaced(self.parts, self.database)
        for name in sets:
            _refuse_taken(self.parts.final_path(name))
        self.parts.sync_cuts()
        empty = self.parts.write_empty([name for name in sets if not self.parts.state(name).bytes])
        states = {name: self.parts.state(name) for name in sets}
        states |= {extent.after.set: extent.after for extent in empty}
        self.database.seal(states.values(), empty)
        with stopping_for_good(self.parts.directory.path):  # the database is ahead of the names
            for name in sets:
                self.parts.give_final_name(name)
            self.parts.directory.sync()
        self.ages.end(sets)
        self.has_unlisted = True


def _refuse_taken(final: Path) -> None:
    if os.path.lexists(final):
        raise IntegrityError(
            f"{final} already exists, and cxai did not write it. Move it elsewhere, then run the"
            " same command again."
        )
