"""What a failure of the disk or of SQLite means, and what its user can do about it."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxai.errors import CommitError, CxaiError, DiskFullError, IntegrityError

_ADVICE = {
    errno.EROFS: "make the file system writable again (the system log says why it is not)",
    errno.EACCES: "restore the permission to write there",
    errno.EPERM: "restore the permission to write there",
    errno.EDQUOT: "free up space or raise the quota",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of this machine",
    errno.EISDIR: "move the directory of that name away",
    errno.ENOENT: "put the directory back in its place",
    errno.ESTALE: "mount the file system again",
}
_NO_ROOM = "free up space"
_NO_INODES = "delete files that are not needed, or use a disk with more inodes"
_FIX = "fix the disk"


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file itself is wrong, and not the disk below it."""
    return type(error) is sqlite3.DatabaseError


def no_room(error: Exception, directory: Path) -> str | None:
    """Return what the disk of `directory` has run out of, None if it is another trouble.

    A transaction that meets this is rolled back whole.
    """
    if isinstance(error, OSError):
        if error.errno == errno.EDQUOT:
            return "the disk quota is used up"
        full = error.errno == errno.ENOSPC
        maybe = False
    else:
        code = getattr(error, "sqlite_errorcode", None)
        full = code == sqlite3.SQLITE_FULL
        maybe = code == sqlite3.SQLITE_CANTOPEN  # also when a file next to it can't be created
    if (full or maybe) and _has_no_inodes(directory):
        return "the disk has no inodes left (it holds too many files)"
    return "the disk is full" if full else None


def reason(error: Exception) -> str:
    """Return the words of the system or of SQLite for a failure."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def advice(error: Exception, directory: Path) -> str:
    """Return what its user can do about a failure below `directory`."""
    lacking = no_room(error, directory)
    code = error.errno if isinstance(error, OSError) else None
    if code is None and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
        code = errno.EROFS
    if code in _ADVICE:
        return _ADVICE[code]
    if lacking is None:
        return _FIX
    return _NO_INODES if "inodes" in lacking else _NO_ROOM


def stopped_by(error: Exception, doing: str, directory: Path) -> CxaiError:
    """Return what ends the run that failed in `doing` something with `directory`.

    DiskFullError if it may be tried again; IntegrityError if the ledger itself is damaged.
    """
    if is_damage(error):
        return IntegrityError(f"Can't {doing}: the ledger is damaged ({error}).")
    lacking = no_room(error, directory)
    text = (
        f"Can't {doing}: {reason(error)}{f' ({lacking})' if lacking else ''}. Nothing is lost:"
        f" {advice(error, directory)}, and run the same command again."
    )
    return CommitError(text) if lacking is None else DiskFullError(text, lacking)


@contextmanager
def stopping(doing: str, directory: Path) -> Iterator[None]:
    """Turn a failure of the disk or of SQLite into an end of the run that says what to do."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise stopped_by(error, doing, directory) from error


def _has_no_inodes(directory: Path) -> bool:
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_files > 0 and disk.f_favail == 0  # some file systems count none
