"""The commit of a batch: files and database become one.

Append, sync, count, advance. A batch is written behind the committed end of each part, made
durable, and then counted by one transaction of the database: outcomes, ends, checksums. Until that
transaction is durable nothing of the batch exists; the next start cuts the files back to what the
database says.

A batch that could not be written or counted for want of room is cut off again, and may be tried
again. Once it is written, after any other failure, nothing is cut: a transaction whose sync has
failed may be durable all the same, and then counts what is in the files.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from cxai.core.layout import FAILURES
from cxai.core.outcome import Outcome
from cxai.errors import CxaiError
from cxai.ledger.displaced import refuse_displaced
from cxai.ledger.open_parts import OpenParts
from cxai.ledger.port import Database
from cxai.ledger.rotation import Rotation
from cxai.ledger.trouble import DatabaseError, stopped_by, undecided
from cxai.output.part_state import Extent


class BatchCommit:
    """Makes outcomes of one run and their lines durable, all or none.

    `main_set` is the set with one row per interaction.
    """

    def __init__(
        self, run: int, parts: OpenParts, database: Database, rotation: Rotation, main_set: str
    ) -> None:
        self._run = run
        self._parts = parts
        self._database = database
        self._rotation = rotation
        self._main_set = main_set

    def commit(self, outcomes: Collection[Outcome], at: str, replaced: int = 0) -> None:
        """Commit a batch; `at` is the time of this commit.

        `replaced` of the outcomes take the place of others of this run.

        Raises DiskFullError if there is no room, and it may be tried again; CommitError if only
        the next start can tell what is durable; IntegrityError if a file of the export is no longer
        where it was.
        """
        lines: defaultdict[str, list[bytes]] = defaultdict(list)
        for outcome in outcomes:
            for part_set, text in outcome.lines.items():
                lines[part_set].append(text)
        try:
            self._rotation.seal_large()
            refuse_displaced(self._parts, self._database)
            extents = self._parts.append(lines)
        except (OSError, DatabaseError) as error:
            raise self._taken_back(error) from error
        try:
            self._parts.sync(lines)
        except OSError as error:
            raise undecided(error, self._parts.directory.path) from error
        try:
            self._count(outcomes, extents, at, replaced)
        except DatabaseError as error:
            if error.trouble.lack is None:
                raise undecided(error, self._parts.directory.path) from error
            raise self._taken_back(error) from error
        self._parts.advance(lines)
        self._rotation.ages.begin(lines)

    def seal_old(self) -> None:
        """Seal the parts that are old enough. Raises as `commit` does."""
        try:
            self._rotation.seal_old()
        except (OSError, DatabaseError) as error:
            raise self._taken_back(error) from error

    def _count(
        self, outcomes: Collection[Outcome], extents: Sequence[Extent], at: str, replaced: int
    ) -> None:
        part_of = {extent.after.set: extent.after.number for extent in extents}
        recorded, failed = part_of.get(self._main_set, 0), part_of.get(FAILURES, 0)
        self._database.commit(
            self._run,
            outcomes,
            extents,
            at,
            recorded=recorded,
            failed=failed,
            replaced=replaced,
        )

    def _taken_back(self, error: OSError | DatabaseError) -> CxaiError:
        """Cut the batch off that could not be written; return what is to be raised."""
        path = self._parts.directory.path
        if isinstance(error, OSError) or error.trouble.lack is not None:
            self._parts.cut_back()
        return stopped_by(error, f"write to {path}", path)
