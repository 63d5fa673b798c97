"""What belongs into an output directory, and what else is tolerated there."""

import os
import re
from pathlib import Path

from worker.errors import UsageError
from worker.output.manifest import MANIFEST_NAME
from worker.output.parts import PART_NAME

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

_DEMO = ".demo"
_OF_DEMO = frozenset({_DEMO, "input.txt"})
_MOST_NAMED = 3


def require_export(path: Path) -> None:
    """Raise UsageError if there is no ledger in `path`."""
    try:
        (path / LEDGER_NAME).lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{path} holds no export (there is no {LEDGER_NAME} in it).") from None
    except OSError as error:
        raise UsageError(f"Can't look into {path}: {error.strerror}.") from None


def refuse_foreign(path: Path) -> None:
    """Raise UsageError if a directory without a ledger holds what is not an export's.

    In a directory with a ledger, files of others are left alone.
    """
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names
    except OSError:
        return  # not there yet, or opening it tells why it can't be used
    if LEDGER_NAME in names:
        return
    foreign = [name for name in names if not _belongs(name, demo=_DEMO in names)]
    if foreign:
        named = ", ".join(foreign[:_MOST_NAMED])
        more = f" and {len(foreign) - _MOST_NAMED:,} more" if len(foreign) > _MOST_NAMED else ""
        raise UsageError(
            f"{path} holds other files ({named}{more}) and no export. Name a new or empty"
            " directory; --force uses this one all the same and leaves those files alone."
        )


def _belongs(name: str, *, demo: bool) -> bool:
    return bool(
        _OURS.fullmatch(name)
        or PART_NAME.fullmatch(name)
        or _NO_CONTENT.fullmatch(name)
        or (demo and name in _OF_DEMO)
    )
