"""What a failure of the disk or of the ledger means, and what its user can do about it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cxai.errors import CommitError, CxaiError, DiskFullError, IntegrityError


class Lack(StrEnum):
    """What there is no room for; it is waited for."""

    BYTES = "the disk is full"
    INODES = "the disk has no inodes left (it holds too many files)"
    QUOTA = "the disk quota is used up"


@dataclass(frozen=True, slots=True)
class DiskTrouble:
    """One failure: its `reason` in the words of the system, and what to do about it.

    `lack` is what there was no room for, None if it is another trouble. `is_damage` says that the
    file itself is wrong, and not the disk below it.
    """

    reason: str
    advice: str
    lack: Lack | None = None
    is_damage: bool = False


class DatabaseError(Exception):
    """The ledger's database has failed; what it was doing is undone, unless it was a commit.

    A commit that failed for want of room is undone, too; of any other, only the next start can tell
    whether it is durable.
    """

    def __init__(self, trouble: DiskTrouble) -> None:
        super().__init__(trouble.reason)
        self.trouble = trouble


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

_ADVICE_BY_LACK = {
    Lack.BYTES: "free up space",
    Lack.INODES: "delete files that are not needed, or use a disk with more inodes",
    Lack.QUOTA: _ADVICE[errno.EDQUOT],
}


def trouble_of(error: OSError, directory: Path) -> DiskTrouble:
    """Return what a failure of the system below `directory` means."""
    lack = None
    if error.errno == errno.EDQUOT:
        lack = Lack.QUOTA
    elif error.errno == errno.ENOSPC:
        lack = Lack.INODES if has_no_inodes(directory) else Lack.BYTES
    return DiskTrouble(
        error.strerror or type(error).__name__, advice_on(lack, error.errno or 0), lack
    )


def advice_on(lack: Lack | None, number: int) -> str:
    """Return what its user can do about a lack of room, or else an error of that number."""
    return _ADVICE.get(number, "fix the disk") if lack is None else _ADVICE_BY_LACK[lack]


def has_no_inodes(directory: Path) -> bool:
    """Whether the file system of `directory` has no room for another file."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_files > 0 and disk.f_favail == 0  # some file systems count none


def stopped_by(error: OSError | DatabaseError, doing: str, directory: Path) -> CxaiError:
    """Return what ends the run that failed in `doing` something with `directory`.

    DiskFullError if it may be tried again; IntegrityError if the ledger itself is damaged.
    """
    trouble = error.trouble if isinstance(error, DatabaseError) else trouble_of(error, directory)
    if trouble.is_damage:
        return IntegrityError(f"Can't {doing}: the ledger is damaged ({trouble.reason}).")
    cause = f" ({trouble.lack})" if trouble.lack else ""
    text = (
        f"Can't {doing}: {trouble.reason}{cause}. Nothing is lost: {trouble.advice}, and run the"
        " same command again."
    )
    return CommitError(text) if trouble.lack is None else DiskFullError(text, trouble.lack)


def undecided(error: OSError | DatabaseError, directory: Path) -> CxaiError:
    """Return what ends the run when it can't be known whether what was written is durable.

    The next start reads it off the ledger. A second sync would prove nothing (it may succeed
    without having written), so this is never tried again, even for want of room.
    """
    stop = stopped_by(error, f"make what was written to {directory} durable", directory)
    return CommitError(str(stop)) if isinstance(stop, DiskFullError) else stop


@contextmanager
def stopping(doing: str, directory: Path) -> Iterator[None]:
    """Turn a failure of disk or ledger into an end of the run that says what to do."""
    try:
        yield
    except (OSError, DatabaseError) as error:
        raise stopped_by(error, doing, directory) from error


@contextmanager
def never_again(directory: Path) -> Iterator[None]:
    """Let nothing in the block be tried again if it fails, even for want of room.

    Raises CommitError, after which the next start goes by the ledger.
    """
    try:
        yield
    except (OSError, DatabaseError) as error:
        raise undecided(error, directory) from error
