"""What a failure of the disk or of the ledger means, and what the operator can do about it."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cxai.errors import CommitError, CxaiError, DiskFullError, IntegrityError


class Shortage(StrEnum):
    """What the disk has run out of; a run waits for it."""

    BYTES = "the disk is full"
    INODES = "the disk has no inodes left (it holds too many files)"
    QUOTA = "the disk quota is used up"


@dataclass(frozen=True, slots=True)
class DiskFailure:
    """One failure: its `reason` as the system reports it, and advice for the operator.

    `shortage` is what the disk ran out of, None for any other failure. `is_damage` means that the
    file itself is wrong, not the disk below it.
    """

    reason: str
    advice: str
    shortage: Shortage | None = None
    is_damage: bool = False


class DatabaseError(Exception):
    """The ledger's database failed. What it was doing is undone, unless it was a commit.

    A commit that failed for a shortage is undone, too; after any other failure of a commit, only
    the next start can find out whether it is durable.
    """

    def __init__(self, failure: DiskFailure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


_ADVICE: Mapping[Shortage | int, str] = {
    errno.EROFS: "make the file system writable again (the system log says why it is not)",
    errno.EACCES: "restore the permission to write there",
    errno.EPERM: "restore the permission to write there",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of this machine",
    errno.EISDIR: "move the directory of that name away",
    errno.ENOENT: "put the directory back in its place",
    errno.ESTALE: "mount the file system again",
    Shortage.BYTES: "free up space",
    Shortage.INODES: "delete files that are not needed, or use a disk with more inodes",
    Shortage.QUOTA: "free up space or raise the quota",
}


def failure_of(error: OSError, directory: Path) -> DiskFailure:
    """Return what a failed system call below `directory` means."""
    shortage = None
    if error.errno == errno.EDQUOT:
        shortage = Shortage.QUOTA
    elif error.errno == errno.ENOSPC:
        shortage = Shortage.INODES if has_no_inodes(directory) else Shortage.BYTES
    reason = error.strerror or type(error).__name__
    return DiskFailure(reason, advice_on(shortage, error.errno or 0), shortage)


def advice_on(shortage: Shortage | None, number: int) -> str:
    """Return advice on a shortage, or else on the error with that number."""
    return _ADVICE.get(shortage or number, "fix the disk")


def has_no_inodes(directory: Path) -> bool:
    """Whether the file system of `directory` can't hold another file."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_files > 0 and disk.f_favail == 0  # some file systems count none


def stop_after(error: OSError | DatabaseError, doing: str, directory: Path) -> CxaiError:
    """Return the error that ends a run which failed while `doing` something with `directory`.

    DiskFullError if it may be tried again; IntegrityError if the ledger itself is damaged.
    """
    failure = error.failure if isinstance(error, DatabaseError) else failure_of(error, directory)
    if failure.is_damage:
        return IntegrityError(f"Can't {doing}: the ledger is damaged ({failure.reason}).")
    cause = f" ({failure.shortage})" if failure.shortage else ""
    text = (
        f"Can't {doing}: {failure.reason}{cause}. Nothing is lost: {failure.advice}, and run the"
        " same command again."
    )
    return CommitError(text) if failure.shortage is None else DiskFullError(text, failure.shortage)


def stop_for_good(error: OSError | DatabaseError, directory: Path) -> CxaiError:
    """Return the error that ends a run when it is unknown whether the written data is durable.

    A second sync may succeed without having written, so this is never tried again, not even after a
    shortage.
    """
    stop = stop_after(error, f"make what was written to {directory} durable", directory)
    return CommitError(str(stop)) if isinstance(stop, DiskFullError) else stop


@contextmanager
def stopping(doing: str, directory: Path) -> Iterator[None]:
    """Turn a failure of disk or ledger into an error that ends the run and gives advice."""
    try:
        yield
    except (OSError, DatabaseError) as error:
        raise stop_after(error, doing, directory) from error


@contextmanager
def stopping_for_good(directory: Path) -> Iterator[None]:
    """Let no failure be tried again, not even after a shortage. Raises CommitError."""
    try:
        yield
    except (OSError, DatabaseError) as error:
        raise stop_for_good(error, directory) from error
