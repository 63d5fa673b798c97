"""The commit of a batch, in four steps: append, sync, record, advance.

A batch is appended to the committed end of each part and synced; then one transaction of the
database records it. Until that is durable, nothing of the batch exists. If the disk is full, the
batch is truncated and may be tried again. After any other failure it is left in place, because the
transaction may be durable nevertheless (docs/architecture/ledger.md).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cxai.core.entry import Outcome
from cxai.core.layout import FAILURES
from cxai.errors import CxaiError
from cxai.ledger.disk_failure import DatabaseError, stop_after, stop_for_good, stopping_for_good
from cxai.ledger.displaced import refuse_displaced
from cxai.ledger.open_parts import OpenParts
from cxai.ledger.port import Database
from cxai.ledger.rotation import Rotation
from cxai.output.part_state import Extent


@dataclass(frozen=True, slots=True)
class BatchCommit:
    """Makes outcomes and their lines durable. `main_set` has one row per interaction."""

    run: int
    parts: OpenParts
    database: Database
    rotation: Rotation
    main_set: str

    def commit(self, outcomes: Collection[Outcome], at: str, replaced: int = 0) -> None:
        """Commit a batch at the time `at`; `replaced` of its outcomes replace others of this run.

        Raises DiskFullError if the disk is full, and it may be tried again; CommitError if only the
        next start can find out what is durable; IntegrityError if a file of the export was moved or
        replaced.
        """
        lines: defaultdict[str, list[bytes]] = defaultdict(list)
        for outcome in outcomes:
            for part_set, text in outcome.lines.items():
                lines[part_set].append(text)
        try:
            self.rotation.seal_large()
            refuse_displaced(self.parts, self.database)
            extents = self.parts.append(lines)
        except (OSError, DatabaseError) as error:
            raise self._rolled_back(error) from error
        with stopping_for_good(self.parts.directory.path):
            self.parts.sync(lines)
        try:
            self._record(outcomes, extents, at, replaced)
        except DatabaseError as error:
            if error.failure.shortage is None:
                raise stop_for_good(error, self.parts.directory.path) from error
            raise self._rolled_back(error) from error
        self.parts.advance(lines)
        self.rotation.ages.begin(lines)

    def seal_old(self) -> None:
        """Seal the parts that are old enough. Raises as `commit` does."""
        try:
            self.rotation.seal_old()
        except (OSError, DatabaseError) as error:
            raise self._rolled_back(error) from error

    def _record(
        self, outcomes: Collection[Outcome], extents: Sequence[Extent], at: str, replaced: int
    ) -> None:
        part_of = {extent.after.set: extent.after.number for extent in extents}
        recorded, failed = part_of.get(self.main_set, 0), part_of.get(FAILURES, 0)
        self.database.commit(
            self.run, outcomes, extents, at, recorded=recorded, failed=failed, replaced=replaced
        )

    def _rolled_back(self, error: OSError | DatabaseError) -> CxaiError:
        """Truncate the batch that could not be written; return the error to raise."""
        path = self.parts.directory.path
        if isinstance(error, OSError) or error.failure.shortage is not None:
            self.parts.cut_back()
        return stop_after(error, f"write to {path}", path)
