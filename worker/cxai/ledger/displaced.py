"""Hands in the directory while a run works: what was moved is noticed before more is written."""

from cxai.errors import IntegrityError
from cxai.ledger.open_parts import OpenParts
from cxai.ledger.port import Database
from cxai.output.contents import LEDGER_NAME
from cxai.output.directory import OutputDirectory
from cxai.output.parts import OpenPart
from cxai.output.quarantine import place_aside


def refuse_displaced(parts: OpenParts, database: Database) -> None:
    """Raise IntegrityError if the directory, the ledger or a part is no longer in its place.

    What is committed of such a part is saved, if it can be. Raises OSError as the system does.
    """
    directory = parts.directory
    if directory.is_displaced:
        raise IntegrityError(_words_on(directory))
    for part in parts:
        if part.is_displaced:
            raise IntegrityError(
                f"{part.path} was removed or replaced while the run wrote to it."
                f" {_rescued(directory, part)}"
            )
    if database.is_displaced:
        raise IntegrityError(
            f"{directory.path / LEDGER_NAME} was removed or replaced while the run wrote to it."
            " Put it back, or export into a new directory."
        )


def _words_on(directory: OutputDirectory) -> str:
    place = directory.place_now
    if place is None:
        return (
            f"{directory.path} was removed or replaced while the run wrote to it. Put it back and"
            " run the same command again; if it is gone for good, name a new directory."
        )
    return (
        f"{directory.path} was moved to {place} while the run wrote to it. Nothing is lost: put it"
        " back and run the same command again."
    )


def _rescued(directory: OutputDirectory, part: OpenPart) -> str:
    """Copy what is committed of a part, as long as it is open; return where it is."""
    lines = f"Its {part.state.records} committed lines"
    try:
        place = place_aside(directory.path, part.path.name)
        part.copy_committed(place)
    except OSError as error:
        return f"{lines} could not be saved ({error.strerror}). Put the file back from a copy."
    return (
        f"{lines} are in {place}: move that file back to its place, and run the same command again."
    )
