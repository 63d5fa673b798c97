"""What a start finds on disk, held against the ledger: finished, cut, refused or set aside."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cxai.errors import IntegrityError
from cxai.observe.logging import LOG
from cxai.output.compression import COMPRESS, SUFFIX, Compression
from cxai.output.contents import LEDGER_NAME, SET_ASIDE
from cxai.output.directory import OutputDirectory
from cxai.output.parts import PART_NAME, OpenPart, PartState, part_name
from cxai.output.private import make_directory, open_private


def refuse_parts_without_ledger(directory: Path) -> None:
    """Raise IntegrityError if there are parts, though the ledger is new."""
    strangers = _part_files(directory)
    if strangers:
        raise IntegrityError(
            f"{directory} has parts ({strangers[0]}, …) but no ledger that knows them."
            f" Put {LEDGER_NAME} back, or export into a new directory."
        )


def recover_parts(
    directory: OutputDirectory, states: list[PartState], compression: Compression
) -> dict[str, OpenPart]:
    """Bring the files to what the ledger says and return the open part of each set.

    Raises IntegrityError, naming the file, when committed bytes are not there.
    """
    _refuse_parts_beyond(directory.path, states, compression)
    _refuse_missing(directory.path, states, compression)
    open_parts = {}
    for state in states:
        if state.sealed:
            if state.released_at is None:
                _check_sealed(directory, state, compression)
        else:
            part = OpenPart(directory.path, state, compression)
            part.recover()
            open_parts[state.set] = part
    _set_strangers_aside(directory, _known_names(states, compression))
    directory.sync()  # also the name of a part that a killed run has just created
    return open_parts


def missing_parts(
    directory: Path, states: Iterable[PartState], compression: Compression
) -> list[PartState]:
    """Return the parts with rows whose files are not there, and were not released."""
    return [
        state
        for state in states
        if state.records
        and state.released_at is None
        and not _is_there(directory, state, compression)
    ]


def _is_there(directory: Path, state: PartState, compression: Compression) -> bool:
    names = {part_name(state, compression), part_name(state.unsealed(), compression)}
    return any(os.path.lexists(directory / name) for name in names)


def _refuse_missing(directory: Path, states: Sequence[PartState], compression: Compression) -> None:
    missing = missing_parts(directory, states, compression)
    if missing:
        name = part_name(missing[0], compression)
        more = f"; {len(missing):,} parts are missing in all" if len(missing) > 1 else ""
        release = (
            f" release it with `cxai prune {directory} {name} --missing`, if it was loaded and"
            " removed on purpose;"
            if missing[0].sealed
            else ""
        )
        raise IntegrityError(
            f"{directory / name} is not there, but the ledger has {missing[0].bytes} bytes of"
            f" it{more}. Put the file back;{release} or fetch its IDs again with"
            " `cxai run --reopen-missing`."
        )


def _refuse_parts_beyond(
    directory: Path, states: list[PartState], compression: Compression
) -> None:
    """Refuse a part with its final name that the ledger has still open: the ledger is older."""
    for state in states:
        final = directory / part_name(state.as_sealed(), compression)
        if not state.sealed and os.path.lexists(final):
            raise IntegrityError(
                f"{final} is finished, but the ledger knows nothing of that: it is an older copy."
                " Put the ledger back that belongs to the parts, or export into a new directory."
            )


def _check_sealed(directory: OutputDirectory, state: PartState, compression: Compression) -> None:
    path = directory.path / part_name(state, compression)
    if not os.path.lexists(path):
        if os.path.lexists(f"{path}.open"):
            _finish_rotation(directory, state, compression)
        else:  # without rows, or it would have been refused before
            with open(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:  # noqa: PTH123 - a descriptor
                file.writelines(COMPRESS[compression]([]))
    size = path.lstat().st_size
    if path.is_symlink() or size != state.bytes:
        raise IntegrityError(
            f"{path} has {size} bytes, but the ledger has {state.bytes}: something changed it."
            " Put the original back; or remove the file and fetch its IDs again with"
            " `cxai run --reopen-missing`."
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


def _known_names(states: Iterable[PartState], compression: Compression) -> set[str]:
    """Return the names that files may have; of a released part, also its compressed copies."""
    known = set()
    for state in states:
        forms = [compression] if state.released_at is None else SUFFIX
        known |= {part_name(state, form) for form in forms}
    return known


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
    if not aside.exists():
        make_directory(aside)
    target = aside / name
    copies = 1
    while os.path.lexists(target):
        copies += 1
        target = aside / f"{name}.{copies}"
    return target


def _part_files(directory: Path) -> list[str]:
    return sorted(name for name in os.listdir(directory) if PART_NAME.fullmatch(name))  # noqa: PTH208 - names
