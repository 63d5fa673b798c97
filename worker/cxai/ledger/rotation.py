"""The sealing of parts: when they are large or old enough, and at the end of a run.

The database is first, the names follow: a file with a final name is always a whole part. A crash
between the two leaves files with their open names, which the next start renames (recovery.py). So a
failure after the database is not tried again.

The sets that hold the rows of a result are sealed together, so that all rows of an ID are in parts
with the same number. A part without rows becomes an empty file when another of its group is sealed,
and at the end of a run if its set has no file yet.
"""

import os
from collections.abc import Sequence
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


class Rotation:
    """Seals the open parts of a run.

    A part of `part_bytes` or more is large; `ages` decides which are old. `has_unlisted` is whether
    parts were sealed since it was last set to False.
    Raises OSError and DatabaseError; IntegrityError if a file of the export was moved or replaced,
    or another file already has the final name; CommitError if only the next start can find out what
    is durable.
    """

    def __init__(
        self,
        parts: OpenParts,
        database: Database,
        form: ExportForm,
        part_bytes: int,
        ages: PartAges,
    ) -> None:
        self.ages = ages
        self.has_unlisted = False
        self._parts = parts
        self._database = database
        self._form = form
        self._part_bytes = part_bytes
        self._together = (form.record_sets, (FAILURES,))

    def seal_large(self) -> None:
        """Seal the parts that are large enough, and those with other rows of the same results."""
        self._seal(self._of_at_least(self._part_bytes))

    def seal_old(self) -> None:
        """Seal the parts that are old enough, and those with other rows of the same results."""
        self._seal([name for sets in self._together if self.ages.are_old(sets) for name in sets])

    def seal_all(self) -> None:
        """Seal all parts with rows; a set that has no file gets an empty one."""
        refuse_displaced(self._parts, self._database)
        self._seal(self._of_at_least(1))
        # After those with rows, which need no new file: the disk may be out of inodes.
        path, compression = self._parts.directory.path, self._form.compression
        sealed = [part for part in self._database.parts() if part.sealed]
        there = {part.set for part in sealed if as_named(path, part, compression) is not None}
        self._seal([name for sets in self._together if not there.issuperset(sets) for name in sets])

    def _of_at_least(self, size: int) -> list[str]:
        return [
            name
            for sets in self._together
            if any(self._parts.state(other).bytes >= size for other in sets)
            for name in sets
        ]

    def _seal(self, sets: Sequence[str]) -> None:
        if not sets:
            return
        refuse_displaced(self._parts, self._database)
        for name in sets:
            _refuse_taken(self._parts.final_path(name))
        self._parts.sync_cuts()
        empty = self._parts.write_empty(
            [name for name in sets if not self._parts.state(name).bytes]
        )
        states = {name: self._parts.state(name) for name in sets}
        states |= {extent.after.set: extent.after for extent in empty}
        self._database.seal(states.values(), empty)
        with stopping_for_good(self._parts.directory.path):  # the database is ahead of the names
            for name in sets:
                self._parts.give_final_name(name)
            self._parts.directory.sync()
        self.ages.end(sets)
        self.has_unlisted = True


def _refuse_taken(final: Path) -> None:
    if os.path.lexists(final):
        raise IntegrityError(
            f"{final} already exists, and cxai did not write it. Move it elsewhere, then run the"
            " same command again."
        )
