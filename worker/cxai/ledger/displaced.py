"""Detects files that were moved, removed or replaced while a run writes to them."""

from cxai.errors import IntegrityError
from cxai.ledger.open_parts import OpenParts
from cxai.ledger.port import Database
from cxai.output.contents import LEDGER_NAME
from cxai.output.directory import OutputDirectory
from cxai.output.parts import OpenPart


def refuse_displaced(parts: OpenParts, database: Database) -> None:
    """Raise IntegrityError if the directory, the ledger or a part was moved, removed or replaced.

    Saves what is committed of such a part, if it can. Raises OSError as the system does.
    """
    directory = parts.directory
    if directory.is_displaced:
        raise IntegrityError(_on_directory(directory))
    for part in parts:
        if part.is_displaced:
            raise IntegrityError(
                f"{part.path} was removed or replaced while the run wrote to it."
                f" {_on_copy(directory, part)}"
            )
    if database.is_displaced:
        raise IntegrityError(
            f"{directory.path / LEDGER_NAME} was removed or replaced while the run wrote to it."
            " Put it back, or export into a new directory."
        )


def _on_directory(directory: OutputDirectory) -> str:
    place = directory.place_now
    if place is None:
        return (
            f"{directory.path} was removed or replaced while the run wrote to it. Put it back and"
            " run the same command again; if it is lost, export into a new directory."
        )
    return (
        f"{directory.path} was moved to {place} while the run wrote to it. Nothing is lost: move it"
        " back and run the same command again."
    )


def _on_copy(directory: OutputDirectory, part: OpenPart) -> str:
    """Copy what is committed of a part from its open descriptor; say where the copy is."""
    lines = f"Its {part.state.records} committed lines"
    try:
        place = directory.quarantine_path(part.path.name)
        part.copy_committed(place)
    except OSError as error:
        return f"{lines} could not be saved ({error.strerror}). Restore the file from a backup."
    return f"{lines} are in {place}: move that file back, then run the same command again."
