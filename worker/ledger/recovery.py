"""What a start finds on disk, held against the ledger: finished, cut, refused or set aside."""

import os
from pathlib import Path

from worker.errors import IntegrityError
from worker.output.compression import Compression
from worker.output.directory import OutputDirectory
from worker.output.parts import PART_NAME, OpenPart, PartState, part_name
from worker.telemetry.logging import LOG

SET_ASIDE = "set-aside"
"""The folder for part files that the ledger does not know. Nothing is ever deleted."""


def refuse_parts_without_ledger(directory: Path) -> None:
    """Raise IntegrityError if there are parts, though the ledger is new."""
    strangers = _part_files(directory)
    if strangers:
        raise IntegrityError(
            f"{directory} has parts ({strangers[0]}, …) but no ledger that knows them."
            " Bring ledger.sqlite back, or export into a new directory."
        )


def recover_parts(
    directory: OutputDirectory, states: list[PartState], compression: Compression
) -> dict[str, OpenPart]:
    """Bring the files to what the ledger says and return the open part of each set.

    Raises IntegrityError, naming the file, when committed bytes are not there.
    """
    _refuse_parts_beyond(directory.path, states, compression)
    open_parts = {}
    for state in states:
        if state.sealed:
            _check_sealed(directory, state, compression)
        else:
            part = OpenPart(directory.path, state, compression)
            part.recover()
            open_parts[state.set] = part
    _set_strangers_aside(directory, {part_name(s, compression) for s in states})
    directory.sync()  # also the name of a part that a killed run has just created
    return open_parts


def _refuse_parts_beyond(
    directory: Path, states: list[PartState], compression: Compression
) -> None:
    """Refuse a part with its final name that the ledger has still open: the ledger is older."""
    for state in states:
        final = directory / part_name(state.as_sealed(), compression)
        if not state.sealed and os.path.lexists(final):
            raise IntegrityError(
                f"{final} is finished, but the ledger knows nothing of that: it is an older copy."
                " Bring the ledger back that belongs to the parts, or export into a new directory."
            )


def _check_sealed(directory: OutputDirectory, state: PartState, compression: Compression) -> None:
    path = directory.path / part_name(state, compression)
    if not os.path.lexists(path):
        if not os.path.lexists(f"{path}.open"):
            raise IntegrityError(
                f"{path} is not there, but the ledger has {state.bytes} bytes of it."
                " Bring the file back, or export into a new directory."
            )
        _finish_rotation(directory, state, compression)
    size = path.lstat().st_size
    if path.is_symlink() or size != state.bytes:
        raise IntegrityError(
            f"{path} has {size} bytes, but the ledger has {state.bytes}: something changed it."
            " Bring the file back, or export into a new directory."
        )


def _finish_rotation(
    directory: OutputDirectory, state: PartState, compression: Compression
) -> None:
    """Rename a part that the ledger has sealed, but whose name a crash left open."""
    part = OpenPart(directory.path, state.unsealed(), compression)
    part.recover()
    part.close()
    os.rename(part.path, directory.path / part_name(state, compression))  # noqa: PTH104 - beside fsync
    directory.sync()


def _set_strangers_aside(directory: OutputDirectory, known: set[str]) -> None:
    finals_being_sealed = {f"{name}.open" for name in known}
    for name in _part_files(directory.path):
        if name in known or name in finals_being_sealed:
            continue
        (directory.path / name).rename(_place_aside(directory.path, name))
        LOG.warning("set aside", file=name, why="the ledger does not know it")


def rescue(directory: Path, part: OpenPart) -> Path:
    """Copy what is committed of a part that was displaced, as long as it is open; return where."""
    target = _place_aside(directory, part.path.name)
    part.copy_committed(target)
    return target


def _place_aside(directory: Path, name: str) -> Path:
    aside = directory / SET_ASIDE
    aside.mkdir(mode=0o700, exist_ok=True)
    target = aside / name
    copies = 1
    while os.path.lexists(target):
        copies += 1
        target = aside / f"{name}.{copies}"
    return target


def _part_files(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if PART_NAME.fullmatch(name))  # noqa: PTH208 - names
