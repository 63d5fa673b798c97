"""`cxai prune`: releases finished parts that were loaded elsewhere, and deletes their files.

IDs in a released part keep their verdicts: one with a record is never fetched again. All parts are
checked first; then the ledger records the release, durably; then the files are deleted. A crash in
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
    "  IDs with a record are never fetched again. The next run still retries IDs that failed"
    " temporarily."
)


@dataclass(slots=True)
class Pruned:
    """The names of the parts that were released, and of the files that were deleted."""

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
        released = counted(len(self.released), "parts")
        deleted = counted(len(self.deleted), "files")
        lines = [f"{where}: {released} released, {deleted} deleted."]
        lines += [f"  released {name}" for name in self.released]
        return "\n".join([*lines, _KEPT])


@dataclass(frozen=True, slots=True)
class _Part:
    """A part to release; `file` is the name of the file to delete, None if it is missing."""

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
    """Release the parts of the export in `path` with these `names`, or with `every` all finished.

    A file that exists must be unchanged. A missing file is accepted if a compressed copy has the
    same content, or with `missing`, which confirms that it was deleted on purpose; `missing` alone
    releases all parts whose files are missing. `keep` deletes nothing. Raises UsageError for parts
    that can't be released, IntegrityError for one that was changed, StoppedError if the disk fails;
    nothing is released then.
    """
    with export_at_rest(path, "prune", "release parts of") as (directory, ledger):
        if ledger.is_new:
            raise UsageError(f"{path} has no finished parts yet.")
        compression = ledger.form(layout_of).compression
        states = ledger.parts()
        chosen = _chosen(path, states, compression, names, every=every, missing=missing)
        parts = [_checked(path, state, compression, missing=missing) for state in chosen]
        pruned = Pruned(path, [part.name for part in parts if not part.state.is_released])
        if parts:  # also those that a killed prune had released, but not deleted
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
            raise UsageError("Give either parts or --all, not both.")
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
        "Give the parts to release, or --all for all finished ones, or --missing for those whose"
        f" files are missing. Finished and not released: {listed or 'none'}."
    )


def _named(path: Path, names: Iterable[str], finished: Iterable[str]) -> list[str]:
    """Return each part once, by its name in the ledger."""
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
                f"{given} is not a finished part of {path}. A part can be released once the ledger"
                " has it as finished (*.open files are still being written)."
            )
        chosen[name] = True
    return list(chosen)


def _checked(path: Path, state: PartState, compression: Compression, *, missing: bool) -> _Part:
    """Return what to release, after checking its content against the ledger."""
    name = part_name(state, compression)
    if os.path.lexists(path / name):
        if _sha256_of(path / name) != state.sha256:
            raise IntegrityError(
                f"{path / name} was changed: its SHA-256 differs from the ledger's. Nothing was"
                f" released. `cxai verify {path}` shows where it differs."
            )
        return _Part(state, name, name)
    if not state.is_released and not missing and not _has_copy(path, state, compression):
        if as_named(path, state, compression) is not None:
            raise UsageError(
                f"{path / name} still has its open name, because a run was killed. Run the same"
                " `cxai run` command again first."
            )
        raise UsageError(
            f"{path / name} is missing, so its content can't be checked. If it was loaded and"
            " deleted on purpose, add --missing; otherwise put it back."
        )
    return _Part(state, name, None)


def _has_copy(path: Path, state: PartState, compression: Compression) -> bool:
    """Whether an uncompressed part has a compressed copy with the same content."""
    if compression is not Compression.NONE:
        return False
    for form in (Compression.GZIP, Compression.ZSTD):
        copy = path / part_name(state, form)
        if os.path.lexists(copy):
            if _sha256_of(copy, OPEN_UNPACKED[form]) == state.sha256:
                return True
            raise IntegrityError(
                f"{copy} does not have the content of {part_name(state, compression)}. Nothing was"
                " released."
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
    """Remove files that are about to be deleted from the manifest, if there is one."""
    runs = ledger.runs()
    reports = [run.report for run in runs if run.ended is not None]
    if not reports and any(part.run_id for part in ledger.parts()):
        reports = [under_way(runs[-1].run_id, runs[-1].seen_at)]
    if reports:
        write_manifest(directory, ledger, compression, reports[-1])
