"""One run in the books: its start, its manifests while it goes, and its orderly end with the last.

At the end: the manifest by rename, then the end in the database. So a run that has an end in the
ledger has a manifest, and one whose end could not be noted has none that says so.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cxai.core.ports import Clock
from cxai.core.timestamp import timestamp
from cxai.ledger.port import Database
from cxai.ledger.trouble import DatabaseError, stopping
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.output.manifest import MANIFEST_NAME, manifest


class CurrentRun:
    """The run that has just begun: `number` is its number in the database."""

    def __init__(self, database: Database, clock: Clock, run_id: str) -> None:
        self._database = database
        self._clock = clock
        self._run_id = run_id
        self.number = database.start_run(run_id, self.now())

    def now(self) -> str:
        """Return the time of a change of the books."""
        return timestamp(self._clock.utc())

    def list_parts(self, directory: OutputDirectory, compression: Compression) -> None:
        """Write a manifest that has the parts sealed so far, and says that the run is under way.

        Raises OSError and DatabaseError; then it may be done again.
        """
        self._database.finish_parts(self.number)
        report = under_way(self._run_id, self.now())
        write_manifest(directory, self._database, compression, report)

    def end(
        self,
        ended: str,
        report: Mapping[str, Any],
        directory: OutputDirectory,
        compression: Compression,
    ) -> None:
        """Write the manifest and note how the run ended. Raises CommitError."""
        with stopping(f"write {directory.path / MANIFEST_NAME}", directory.path):
            write_manifest(directory, self._database, compression, report)
        with stopping(f"note the end of the run in {directory.path}", directory.path):
            try:
                self._database.end_run(self.number, ended, report, self.now())
            except DatabaseError:
                with suppress(OSError):
                    directory.remove(MANIFEST_NAME)
                raise


def under_way(run_id: str, at: str) -> Mapping[str, Any]:
    """Return what stands in a manifest for the report of a run that has none yet."""
    return {
        "run_id": run_id,
        "headline": f"The run was under way at {at}.",
        "ended": None,
        "exit_code": None,
        "reason": "under_way",
    }


def write_manifest(
    directory: OutputDirectory,
    database: Database,
    compression: Compression,
    report: Mapping[str, Any],
) -> None:
    """Write what the database says of the finished parts; `report` is that of the last run.

    That one may be `under_way`.
    """
    content = manifest(database.parts(), compression, database.verdicts(), report)
    directory.replace(MANIFEST_NAME, content)
