"""What belongs into an output directory, and what else is tolerated there."""

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
"""How far a run is, for `cxai status`: it can't look into the ledger of a live run."""

SET_ASIDE = "set-aside"
"""The folder for part files that the ledger does not know. Nothing is ever deleted."""

_OURS = re.compile(
    rf"{re.escape(LEDGER_NAME)}(-wal|-shm|-journal)?|{re.escape(LOCK_NAME)}"
    rf"|{re.escape(SEEN_NAME)}(-journal)?|{SET_ASIDE}"
    rf"|\.?({re.escape(MANIFEST_NAME)}|{re.escape(PROGRESS_NAME)})(\.new)?"
)

# What file systems, desktops and version control leave in a directory that people call empty.
_NO_CONTENT = re.compile(
    r"lost\+found|\.gitkeep|\.gitignore|\.keep|\.DS_Store|\.localized|\.directory|\.nfs.*"
    r"|\.snapshots?|\.Trash.*|\.Spotlight-V100|\.fseventsd|\.TemporaryItems|Thumbs\.db|desktop\.ini"
)

# What these files of ours begin with, unless they are empty. A run overwrites them, and others may
# give their files such names, too.
_BEGINS: Mapping[str, re.Pattern[bytes]] = {
    LOCK_NAME: re.compile(rb"cxai .*", re.DOTALL),
    SEEN_NAME: re.compile(rb"SQLite format 3\0.*", re.DOTALL),
    MANIFEST_NAME: re.compile(rb'\{\s*"written_by": ?"cxai-worker .*', re.DOTALL),
    PROGRESS_NAME: re.compile(rb'\{\s*"state": ?".*', re.DOTALL),
}
_BEGINNING_BYTES = 64

DEMO_MARK = ".demo"
"""Stands in a directory that the demo may write to again."""

DEMO_INPUT = "input.txt"

_MOST_NAMED = 3


def require_export(path: Path) -> None:
    """Raise UsageError if there is no ledger in `path`."""
    try:
        (path / LEDGER_NAME).lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} holds no export (there is no {LEDGER_NAME} in it).") from None
    except OSError as error:
        raise UsageError(f"Can't look into {path}: {error.strerror}.") from None


def refuse_foreign(path: Path, sets: Collection[str]) -> None:
    """Raise UsageError if a directory without a ledger holds what is not an export's.

    `sets` are those of all parts that an export may hold. In a directory with a ledger, files of
    others are left alone.
    """
    names = _names_without_ledger(path)
    part = part_pattern(sets)
    of_demo = {DEMO_MARK, DEMO_INPUT} if DEMO_MARK in names else set()
    foreign = [name for name in names if not (name in of_demo or _belongs(name, part))]
    if foreign:
        named = ", ".join(foreign[:_MOST_NAMED])
        more = f" and {len(foreign) - _MOST_NAMED:,} more" if len(foreign) > _MOST_NAMED else ""
        raise UsageError(
            f"{path} holds other files ({named}{more}) and no export. Name a new or empty"
            " directory; --force uses this one all the same and leaves those files alone."
        )


def refuse_taken(path: Path) -> None:
    """Raise UsageError if a directory without a ledger has a file of others that we'd overwrite."""
    names = _names_without_ledger(path)
    taken = [name for name in names if name in _BEGINS and not _is_ours(path / name)]
    if taken:
        raise UsageError(
            f"{path} holds no export, but files with names that an export needs, and not from cxai"
            f" ({', '.join(taken)}). Name another directory: they would be overwritten."
        )


def _names_without_ledger(path: Path) -> list[str]:
    """Return what is in a directory; nothing if that is an export, or can't be read."""
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names
    except OSError:
        return []  # not there yet, or opening it tells why it can't be used
    return [] if LEDGER_NAME in names else names


def _is_ours(path: Path) -> bool:
    """Whether a file with a name of ours was written by cxai, as far as its beginning tells."""
    try:
        with open_for_reading(path) as file:
            beginning = file.read(_BEGINNING_BYTES)
    except OSError:
        return False  # a link, a directory, or not readable for us
    return not beginning or _BEGINS[path.name].fullmatch(beginning) is not None


def _belongs(name: str, part: re.Pattern[str]) -> bool:
    return any(form.fullmatch(name) for form in (_OURS, part, _NO_CONTENT))
