"""Recovery at the start of a run: files are brought to the state in the ledger, or refused.

A tail that was not committed is truncated, a part that was being sealed gets its final name, a part
that the ledger does not list goes to quarantine. If committed bytes are missing, the start fails.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from cxai.core.events import Emit
from cxai.errors import IntegrityError
from cxai.ledger.form import ExportForm
from cxai.ledger.open_parts import OpenParts
from cxai.ledger.port import Database
from cxai.ledger.registry import open_database
from cxai.output.codecs import COMPRESS
from cxai.output.compression import SUFFIX, Compression
from cxai.output.contents import LEDGER_NAME
from cxai.output.directory import OutputDirectory
from cxai.output.part_state import OPEN, PartState, part_name, part_pattern
from cxai.output.parts import OpenPart, as_named, missing_parts
from cxai.output.private import open_private


def open_ledger(directory: Path, sets: Collection[str]) -> Database:
    """Open or create a ledger. Raises IntegrityError if there are parts, but no ledger."""
    if not (directory / LEDGER_NAME).exists():  # refused before anything is created
        _refuse_parts(directory, sets)
    database = open_database(directory)
    try:
        if database.is_new:
            _refuse_parts(directory, sets)
    except BaseException:
        database.close()
        raise
    return database


def _refuse_parts(directory: Path, sets: Collection[str]) -> None:
    parts = _part_files(directory, sets)
    if parts:
        raise IntegrityError(
            f"{directory} has parts ({parts[0]}, …), but no ledger that lists them. Put"
            f" {LEDGER_NAME} back, or export into a new directory."
        )


def recover_parts(
    directory: OutputDirectory, states: Sequence[PartState], form: ExportForm, emit: Emit
) -> OpenParts:
    """Bring the files to the state in the ledger and return the open part of each set.

    Part files that the ledger does not list are moved to quarantine, each with an event. Raises
    IntegrityError with the name of the file if committed bytes are missing.
    """
    compression = form.compression
    _refuse_parts_beyond(directory.path, states, compression)
    _refuse_missing(directory.path, states, compression)
    open_parts = {}
    for state in states:
        if state.sealed:
            if not state.is_released:
                _check_sealed(directory, state, compression)
        else:
            part = OpenPart(directory.path, state, compression)
            part.recover()
            open_parts[state.set] = part
    known = _known_names(states, compression)
    for name in _part_files(directory.path, form.layout.all_sets):
        if name not in known:
            (directory.path / name).rename(directory.quarantine_path(name))
            emit("file_quarantined", file=name, reason="not in the ledger")
    directory.sync()  # also for a part that a killed run had just created
    return OpenParts(directory, open_parts, compression)


def _refuse_missing(directory: Path, states: Sequence[PartState], compression: Compression) -> None:
    missing = missing_parts(directory, states, compression)
    if missing:
        name = part_name(missing[0], compression)
        more = f" ({len(missing):,} parts are missing in all)" if len(missing) > 1 else ""
        release = (
            f" If it was loaded and deleted on purpose: `cxai prune {directory} {name} --missing`."
            if missing[0].sealed
            else ""
        )
        raise IntegrityError(
            f"{directory / name} is missing; the ledger has {missing[0].bytes:,} bytes of"
            f" it{more}. Put the file back.{release} If it is lost, fetch its IDs again: run the"
            " same command with --reopen-missing."
        )


def _refuse_parts_beyond(
    directory: Path, states: Iterable[PartState], compression: Compression
) -> None:
    """Refuse a file with its final name whose part is open in the ledger: an older ledger."""
    for state in states:
        final = directory / part_name(state.as_sealed(), compression)
        if not state.sealed and os.path.lexists(final):
            raise IntegrityError(
                f"{final} is finished, but not according to the ledger, which is an older copy. Put"
                " back the ledger that belongs to these parts, or export into a new directory."
            )


def _check_sealed(directory: OutputDirectory, state: PartState, compression: Compression) -> None:
    path = directory.path / part_name(state, compression)
    named = as_named(directory.path, state, compression)
    if named is None:  # it has no rows: else it was refused before
        with open(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:  # noqa: PTH123 - a descriptor
            file.writelines(COMPRESS[compression]([]))
    elif not named.sealed:  # a crash came before its final name
        part = OpenPart(directory.path, named, compression)
        part.recover()
        part.close()
        os.rename(part.path, path)  # noqa: PTH104 - beside fsync
        directory.sync()
    size = path.lstat().st_size
    if path.is_symlink() or size != state.bytes:
        raise IntegrityError(
            f"{path} has {size:,} bytes, but the ledger has {state.bytes:,}: it was changed. Put"
            " the original back; if it is lost, delete the file and run the same command with"
            " --reopen-missing."
        )


def _known_names(states: Iterable[PartState], compression: Compression) -> set[str]:
    """Return the names that files may have, compressed copies of released parts included."""
    known = set()
    for state in states:
        forms = SUFFIX if state.is_released else [compression]
        known |= {part_name(state, form) for form in forms}
    return known | {f"{name}{OPEN}" for name in known}  # a crash leaves these while sealing


def _part_files(directory: Path, sets: Collection[str]) -> list[str]:
    part = part_pattern(sets)
    return sorted(name for name in os.listdir(directory) if part.fullmatch(name))  # noqa: PTH208 - names
