"""An export that no run uses: locked, and its ledger open."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cxai.ledger.disk_failure import stopping
from cxai.ledger.port import Database
from cxai.ledger.registry import open_database
from cxai.output.contents import require_export
from cxai.output.directory import OutputDirectory


@contextmanager
def export_at_rest(
    path: Path, purpose: str, doing: str
) -> Iterator[tuple[OutputDirectory, Database]]:
    """Yield the directory and the ledger of the export in `path`, closed at the end of the block.

    `purpose` is the command that locks it; `doing` completes the message of a failure. Raises
    UsageError without an export, DirectoryInUseError, and StoppedError or IntegrityError if disk or
    ledger fail.
    """
    require_export(path)
    with (
        OutputDirectory(path, create=False, purpose=purpose) as directory,
        closing(open_database(path)) as ledger,
        stopping(f"{doing} {path}", path),
    ):
        yield directory, ledger
