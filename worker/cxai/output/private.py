"""Files and directories of ours: for their owner alone, whatever the umask, and in their place."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


def open_private(path: Path | str, flags: int, *, dir_fd: int | None = None) -> int:
    """Return a descriptor of a file that has mode 0600 if this call creates it.

    `flags` are those of os.open. A umask such as 0277 would leave a file that its own owner can't
    open again. Raises OSError.
    """
    fd = os.open(path, flags | os.O_CLOEXEC, FILE_MODE, dir_fd=dir_fd)
    if flags & os.O_CREAT:
        there = os.fstat(fd)
        if there.st_size == 0 and there.st_mode & 0o777 != FILE_MODE:
            with suppress(OSError):  # a file system that has no modes, or somebody else's file
                os.fchmod(fd, FILE_MODE)
    return fd


def make_directory(path: Path) -> None:
    """Create one directory with mode 0700. Raises OSError, FileExistsError if it is there."""
    path.mkdir(mode=DIRECTORY_MODE)
    with suppress(OSError):
        path.chmod(DIRECTORY_MODE)


def make_directories(path: Path, created: list[Path]) -> None:
    """Create a directory and its parents where they are missing, each with mode 0700.

    Those that this call creates are appended to `created`, the outermost first. Raises OSError.
    """
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        try:
            make_directory(directory)
        except FileExistsError:  # another process was quicker, or it is a dangling link
            continue
        created.append(directory)


def open_for_reading(path: Path) -> BinaryIO:
    """Open a file that has to be a file: no link is followed, and no pipe is waited for.

    Raises OSError.
    """
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: PTH123 - a descriptor


def is_displaced(path: Path, ours: os.stat_result, *, follow: bool = False) -> bool:
    """Whether something else than `ours`, which is open, or nothing stands at `path` by now.

    `follow` says whether a symbolic link there is followed. Raises OSError if it can't be known.
    """
    try:
        there = path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not os.path.samestat(ours, there)
