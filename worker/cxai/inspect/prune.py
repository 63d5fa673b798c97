"""`cxai prune`: releases finished parts that were loaded elsewhere, and deletes their files.

All parts are checked first; then the ledger records the release, durably; then the files are
deleted. A crash in between leaves files that the export no longer needs.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
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
from cxai.output.codecs import OPEN_UNPACKED, UNPACK_ERRORS
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.output.part_state import PartState, part_name
from cxai.output.parts import as_named
from cxai.output.private import open_for_reading
from cxai.resources.registry import layout_of

_MOST_NAMED = 5

_KEPT = (
    "  IDs with a record are never fetched again. The next run still retries IDs that failed"
    " temporarily."
)


@dataclass(frozen=True, slots=True)
class Pruned:
    """The names of the parts that were released, and of the files that were deleted."""

    directory: Path
    released: list[str]
    deleted: list[str]

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
        finished = {part_name(part, compression): part for part in ledger.parts() if part.sealed}
        chosen = _chosen(path, finished, names, every=every, missing=missing)
        files = [_checked(path, state, compression, missing=missing) for state in chosen]
        if chosen:  # also those that a killed prune had released, but not deleted
            ledger.release(chosen, timestamp(clock.utc()))
            _rewrite_manifest(directory, ledger, compression)
        deleted = [] if keep else [name for name in files if name is not None]
        for name in deleted:
            directory.remove(name)
        directory.sync()
    released = [part_name(state, compression) for state in chosen if not state.is_released]
    return Pruned(path, released, deleted)


def _chosen(
    path: Path, finished: dict[str, PartState], names: Sequence[str], *, every: bool, missing: bool
) -> list[PartState]:
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


def _named(path: Path, names: Iterable[str], finished: Collection[str]) -> list[str]:
    """Return each part once, by its name in the ledger."""
    chosen = {}
    for given in names:
        name, folder = Path(given).name, Path(given).parent
        if folder not in {Path(), path} and not (folder.exists() and folder.samefile(path)):
            raise UsageError(f"{given} is not in {path}.")
        if name not in finished:
            raise UsageError(
                f"{given} is not a finished part of {path}. A part can be released once the ledger"
                " has it as finished (*.open files are still being written)."
            )
        chosen[name] = True
    return list(chosen)


def _checked(
    path: Path, state: PartState, compression: Compression, *, missing: bool
) -> str | None:
    """Check a part against the ledger; return the name of its file, None if that is missing."""
    name = part_name(state, compression)
    if os.path.lexists(path / name):
        if _sha256_of(path / name) != state.sha256:
            raise IntegrityError(
                f"{path / name} was changed: its SHA-256 differs from the ledger's. Nothing was"
                f" released. `cxai verify {path}` shows where it differs."
            )
        return name
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
    return None


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
    try:
        with open_for_reading(path) as raw, unpacked(raw) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except UNPACK_ERRORS as error:
        raise IntegrityError(f"{path} can't be read: {error}. Nothing was released.") from error


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
