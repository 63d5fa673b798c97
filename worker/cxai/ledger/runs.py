"""The record of one run: its start, the manifests while it runs, and its end.

At the end the manifest is written first, then the end in the database. So a run with an end in the
ledger has a manifest; if its end could not be recorded, the manifest is deleted.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cxai.core.ports import Clock
from cxai.core.timestamp import timestamp
from cxai.ledger.disk_failure import DatabaseError, stopping
from cxai.ledger.port import Database
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.output.manifest import MANIFEST_NAME, manifest


@dataclass(slots=True)
class CurrentRun:
    """The run that has just started; `number` is its number in the database."""

    directory: OutputDirectory
    database: Database
    clock: Clock
    run_id: str
    compression: Compression
    number: int = field(init=False)

    def __post_init__(self) -> None:
        self.number = self.database.start_run(self.run_id, self.now())

    def now(self) -> str:
        """Return the time of a change to the ledger, as text."""
        return timestamp(self.clock.utc())

    def list_parts(self) -> None:
        """Write a manifest with the parts sealed so far. Raises OSError and DatabaseError."""
        self.database.finish_parts(self.number)
        report = under_way(self.run_id, self.now())
        write_manifest(self.directory, self.database, self.compression, report)

    def end(self, ended: str, report: Mapping[str, Any]) -> None:
        """Write the manifest and record how the run ended. Raises CommitError."""
        path = self.directory.path
        with stopping(f"write {path / MANIFEST_NAME}", path):
            write_manifest(self.directory, self.database, self.compression, report)
        with stopping(f"record the end of the run in {path}", path):
            try:
                self.database.end_run(self.number, ended, report, self.now())
            except DatabaseError:
                with suppress(OSError):
                    self.directory.remove(MANIFEST_NAME)
                raise


def under_way(run_id: str, at: str) -> Mapping[str, Any]:
    """Return what a manifest has in place of the report while a run is under way."""
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
    """Write a manifest of the finished parts. `report` is the last run's, or `under_way`."""
    content = manifest(database.parts(), compression, database.verdicts(), report)
    directory.replace(MANIFEST_NAME, content)
