"""`cxai prune`: finished parts that were loaded elsewhere are released, and their files deleted.

IDs in a released part keep their verdicts: one with a record is never asked again. First everything
that was named is checked; then the ledger notes the release, durably; then the files go. A crash in
between leaves files that the export no longer needs.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxai.core.figures import counted
from cxai.core.ports import Clock
from cxai.core.text import printable
from cxai.core.timestamp import timestamp
from cxai.errors import IntegrityError, UsageError
from cxai.inspect.at_rest import export_at_rest
from cxai.ledger.port import Database
from cxai.ledger.runs import under_way, write_manifest
from cxai.output.codecs import OPEN_UNPACKED
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.output.part_state import PartState, part_name
from cxai.output.parts import as_named
from cxai.output.private import open_for_reading
from cxai.resources.registry import layout_of

_READ_BYTES = 1 << 20
_MOST_NAMED = 5

_KEPT = (
    "  IDs with a record are never asked again. A run still retries IDs that failed in a way that"
    " may pass."
)


@dataclass(slots=True)
class Pruned:
    """What was released: the names of parts, and of the files that were deleted."""

    directory: Path
    released: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "directory": printable(self.directory),
            "released": self.released,
            "deleted": self.deleted,
        }

    def text(self) -> str:
        """Return it for people."""
        where = printable(self.directory)
        if not self.released and not self.deleted:
            return f"{where}: nothing to release (parts without rows stay, for the next load)."
        released, deleted = (
            counted(len(names), "parts") for names in (self.released, self.deleted)
        )
        lines = [f"{where}: {released} released, {deleted} deleted."]
        lines += [f"  released {name}" for name in self.released]
        return "\n".join([*lines, _KEPT])


@dataclass(frozen=True, slots=True)
class _Part:
    """A part that is to be released; `file` is what is to be deleted, None if it is gone."""

    state: PartState
    name: str
    file: str | None


def prune_export(
    path: Path,
    names: Sequence[str],
    clock: Clock,
    *,
    every: bool = False,
    missing: bool = False,
    keep: bool = False,
) -> Pruned:
    """Release the parts of the export in `path` that `names` name; with `every`, all finished ones.

    A part that is there has to be what was written. One that is gone, or was replaced by a
    compressed copy with the same content, needs no file; but without such a copy only `missing`
    says that it was removed on purpose. `missing` alone releases all that are gone. `keep` deletes
    nothing. Raises UsageError for what can't be released, IntegrityError for a part that is not
    what was written, StoppedError if the disk fails; nothing is released then.
    """
    with export_at_rest(path, "prune", "release parts of") as (directory, ledger):
        if ledger.is_new:
            raise UsageError(f"{path} holds no finished part yet.")
        compression = ledger.form(layout_of).compression
        states = ledger.parts()
        chosen = _chosen(path, states, compression, names, every=every, missing=missing)
        parts = [_checked(path, state, compression, missing=missing) for state in chosen]
        pruned = Pruned(path, [part.name for part in parts if not part.state.is_released])
        if parts:  # also those that a killed prune has released, but not deleted
            ledger.release([part.state for part in parts], timestamp(clock.utc()))
            _rewrite_manifest(directory, ledger, compression)
        if not keep:
            pruned.deleted = [part.file for part in parts if part.file is not None]
            for name in pruned.deleted:
                directory.remove(name)
            directory.sync()
    return pruned


def _chosen(
    path: Path,
    states: Iterable[PartState],
    compression: Compression,
    names: Sequence[str],
    *,
    every: bool,
    missing: bool,
) -> list[PartState]:
    finished = {part_name(state, compression): state for state in states if state.sealed}
    if names:
        if every:
            raise UsageError("Name parts, or ask for --all of them; not both.")
        return [finished[name] for name in _named(path, names, finished)]
    with_rows = {name: state for name, state in finished.items() if state.records}
    gone = {name for name in with_rows if not os.path.lexists(path / name)}
    if every:
        return [state for name, state in with_rows.items() if missing or name not in gone]
    if missing:
        return [with_rows[name] for name in sorted(gone) if not with_rows[name].is_released]
    there = [name for name, state in with_rows.items() if not state.is_released]
    listed = ", ".join(there[:_MOST_NAMED]) + (", …" if len(there) > _MOST_NAMED else "")
    raise UsageError(
        "Name the parts that may go, or --all for all finished ones, or --missing for those that"
        f" are gone. Finished and not released: {listed or 'none'}."
    )


def _named(path: Path, names: Iterable[str], finished: Iterable[str]) -> list[str]:
    """Return each name once, as the ledger has it."""
    known = set(finished)
    chosen = {}
    for given in names:
        name = Path(given).name
        folder = Path(given).parent
        is_there = folder in {Path(), path} or (folder.exists() and folder.samefile(path))
        if not is_there:
            raise UsageError(f"{given} is not in {path}.")
        if name not in known:
            raise UsageError(
                f"{given} is no finished part of {path}: only parts can be released that the ledger"
                " has as finished (*.open is still being written)."
            )
        chosen[name] = True
    return list(chosen)


def _checked(path: Path, state: PartState, compression: Compression, *, missing: bool) -> _Part:
    """Return what is to be released, after its content was held against the ledger."""
    name = part_name(state, compression)
    if os.path.lexists(path / name):
        if _sha256_of(path / name) != state.sha256:
            raise IntegrityError(
                f"{path / name} is not what was written: its SHA-256 is not the ledger's. Nothing"
                f" was released. `cxai verify {path}` says where it differs."
            )
        return _Part(state, name, name)
    if not state.is_released and not missing and not _has_copy(path, state, compression):
        if as_named(path, state, compression) is not None:
            raise UsageError(
                f"{path / name} was not finished: a run was killed. Run `cxai run` once more first."
            )
        raise UsageError(
            f"{path / name} is not there, so its content can't be checked. If it was loaded and"
            " removed on purpose, add --missing; else put it back."
        )
    return _Part(state, name, None)


def _has_copy(path: Path, state: PartState, compression: Compression) -> bool:
    """Whether a compressed copy of an uncompressed part is there, with the same content."""
    if compression is not Compression.NONE:
        return False
    for form in (Compression.GZIP, Compression.ZSTD):
        copy = path / part_name(state, form)
        if os.path.lexists(copy):
            if _sha256_of(copy, OPEN_UNPACKED[form]) == state.sha256:
                return True
            raise IntegrityError(
                f"{copy} does not hold what was written to"
                f" {part_name(state, compression)}. Nothing was released."
            )
    return False


def _sha256_of(path: Path, unpacked: Callable[[Any], Any] = nullcontext) -> str:
    """Return the SHA-256 of a file's content. Raises IntegrityError if it can't be read."""
    sha256 = hashlib.sha256()
    try:
        with open_for_reading(path) as raw, unpacked(raw) as file:
            while chunk := file.read(_READ_BYTES):
                sha256.update(chunk)
    except (OSError, EOFError, ValueError) as error:
        raise IntegrityError(f"{path} can't be read: {error}. Nothing was released.") from error
    return sha256.hexdigest()


def _rewrite_manifest(
    directory: OutputDirectory, ledger: Database, compression: Compression
) -> None:
    """Let the manifest name no file that is about to go; there is none before parts are listed."""
    runs = ledger.runs()
    reports = [run.report for run in runs if run.ended is not None]
    if not reports and any(part.run_id for part in ledger.parts()):
        reports = [under_way(runs[-1].run_id, runs[-1].seen_at)]
    if reports:
        write_manifest(directory, ledger, compression, reports[-1])
