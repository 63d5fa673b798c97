"""Files and directories with access for their owner alone, whatever the umask."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


def open_private(path: Path | str, flags: int, *, dir_fd: int | None = None) -> int:
    """Open a file and return its descriptor; if this call creates it, its mode is 0600.

    `flags` are those of os.open. With a umask such as 0277 alone, its owner could not open the file
    again. Raises OSError.
    """
    fd = os.open(path, flags | os.O_CLOEXEC, FILE_MODE, dir_fd=dir_fd)
    if flags & os.O_CREAT:
        there = os.fstat(fd)
        if there.st_size == 0 and there.st_mode & 0o777 != FILE_MODE:
            with suppress(OSError):  # a file system without modes, or another user's file
                os.fchmod(fd, FILE_MODE)
    return fd


def make_directory(path: Path) -> None:
    """Create one directory with mode 0700. Raises OSError, FileExistsError if it exists."""
    path.mkdir(mode=DIRECTORY_MODE)
    with suppress(OSError):
        path.chmod(DIRECTORY_MODE)


def make_directories(path: Path, created: list[Path]) -> None:
    """Create a directory and its missing parents, each with mode 0700.

    Appends those that this call creates to `created`, the outermost first. Raises OSError.
    """
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        try:
            make_directory(directory)
        except FileExistsError:  # another process was faster, or it is a dangling link
            continue
        created.append(directory)


def open_for_reading(path: Path) -> BinaryIO:
    """Open a regular file: neither follows a link nor waits for a pipe. Raises OSError."""
    return open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: PTH123 - a descriptor


def is_displaced(path: Path, ours: os.stat_result, *, follow: bool = False) -> bool:
    """Whether `path` is no longer the file or directory with the status `ours`.

    `follow` is whether to follow a symbolic link there. Raises OSError if it can't be checked.
    """
    try:
        there = path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not os.path.samestat(ours, there)
