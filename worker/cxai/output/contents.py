"""What belongs in an output directory, and what else is tolerated there."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from cxai.errors import UsageError
from cxai.output.manifest import MANIFEST_NAME
from cxai.output.part_state import part_pattern
from cxai.output.private import open_for_reading

LEDGER_NAME = "ledger.sqlite"
LOCK_NAME = ".lock"
SEEN_NAME = ".seen"
PROGRESS_NAME = "progress.json"
"""The progress of a run, for `cxai status`, which can't read the ledger of a live run."""

QUARANTINE = "quarantine"
"""The folder for part files that the ledger does not list. Nothing is ever deleted."""

_OURS = re.compile(
    rf"{re.escape(LEDGER_NAME)}(-wal|-shm|-journal)?|{re.escape(LOCK_NAME)}"
    rf"|{re.escape(SEEN_NAME)}(-journal)?|{QUARANTINE}|set-aside"  # its name before 0.6
    rf"|\.?({re.escape(MANIFEST_NAME)}|{re.escape(PROGRESS_NAME)})(\.new)?"
)

# What file systems, desktops and version control leave in an empty directory.
_NO_CONTENT = re.compile(
    r"lost\+found|\.gitkeep|\.gitignore|\.keep|\.DS_Store|\.localized|\.directory|\.nfs.*"
    r"|\.snapshots?|\.Trash.*|\.Spotlight-V100|\.fseventsd|\.TemporaryItems|Thumbs\.db|desktop\.ini"
)

# How our files begin, unless they are empty. A run overwrites these, and files of others may have
# the same names.
_BEGINNINGS: Mapping[str, re.Pattern[bytes]] = {
    LOCK_NAME: re.compile(rb"cxai .*", re.DOTALL),
    SEEN_NAME: re.compile(rb"SQLite format 3\0.*", re.DOTALL),
    MANIFEST_NAME: re.compile(rb'\{\s*"written_by": ?"cxai-worker .*', re.DOTALL),
    PROGRESS_NAME: re.compile(rb'\{\s*"state": ?".*', re.DOTALL),
}
_BEGINNING_BYTES = 64

DEMO_MARK = ".demo"
"""Marks a directory that the demo may write to again."""

DEMO_INPUT = "input.txt"

_MOST_NAMED = 3


def require_export(path: Path) -> None:
    """Raise UsageError if there is no ledger in `path`."""
    try:
        (path / LEDGER_NAME).lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} has no export (no {LEDGER_NAME}).") from None
    except OSError as error:
        raise UsageError(f"Can't read {path}: {error.strerror}.") from None


def refuse_foreign(path: Path, sets: Collection[str]) -> None:
    """Raise UsageError if a directory without a ledger has files that no export has.

    `sets` are the sets of all parts that an export may have. In a directory with a ledger, files of
    others are ignored.
    """
    names = _names_without_ledger(path)
    part = part_pattern(sets)
    of_demo = {DEMO_MARK, DEMO_INPUT} if DEMO_MARK in names else set()
    ours = (_OURS, part, _NO_CONTENT)
    foreign = [n for n in names if n not in of_demo and not any(form.fullmatch(n) for form in ours)]
    if foreign:
        named = ", ".join(foreign[:_MOST_NAMED])
        more = f" and {len(foreign) - _MOST_NAMED:,} more" if len(foreign) > _MOST_NAMED else ""
        raise UsageError(
            f"{path} has other files ({named}{more}) and no export. Choose a new or empty"
            " directory, or add --force to use this one; those files stay as they are."
        )


def refuse_taken(path: Path) -> None:
    """Raise UsageError if a directory without a ledger has files of others that we'd overwrite."""
    names = _names_without_ledger(path)
    taken = [name for name in names if name in _BEGINNINGS and not _is_ours(path / name)]
    if taken:
        raise UsageError(
            f"{path} has no export, but files of others that an export would overwrite"
            f" ({', '.join(taken)}). Choose another directory."
        )


def _names_without_ledger(path: Path) -> list[str]:
    """Return the names in a directory; none if it is an export, or can't be read."""
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names
    except OSError:
        return []  # it does not exist, or opening it will fail and explain
    return [] if LEDGER_NAME in names else names


def _is_ours(path: Path) -> bool:
    """Whether a file with one of our names was written by cxai, judged by its beginning."""
    try:
        with open_for_reading(path) as file:
            beginning = file.read(_BEGINNING_BYTES)
    except OSError:
        return False  # a link, a directory, or unreadable
    return not beginning or _BEGINNINGS[path.name].fullmatch(beginning) is not None
