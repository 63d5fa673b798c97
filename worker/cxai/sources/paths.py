"""Paths of inputs: which are readable, and which are the same pipe."""

import errno
import os
import stat
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from cxai.errors import UsageError

STDIN = "-"
STDIN_NAME = "<stdin>"


def name_of(path: str) -> str:
    """Return the name of an input in messages and rows."""
    return STDIN_NAME if path == STDIN else path


def expanded(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the paths with `~` and `~user` expanded; `-` if there are none."""
    return tuple(os.path.expanduser(path) for path in paths) or (STDIN,)  # noqa: PTH111 - "./" stays


def opened(path: str) -> FileIO:
    """Open a file, or standard input for `-`, for reading. Raises OSError."""
    # Unbuffered: data in a pipe arrives immediately, and no buffer lock is held at exit.
    return FileIO(0, closefd=False) if path == STDIN else FileIO(path)


def is_regular(path: str) -> bool:
    """Whether the path is a file that can be read again from its start. Raises OSError."""
    return stat.S_ISREG(_status(path).st_mode)


def check_readable(path: str) -> None:
    """Raise UsageError for a path that does not exist, is not readable or is no kind of input."""
    name = name_of(path)
    try:
        mode = _status(path).st_mode
        if path != STDIN and not (stat.S_ISDIR(mode) or os.access(path, os.R_OK)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"{name} can't be read: {why}."
            f" Name existing, readable files, or {STDIN} for standard input."
        ) from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{name} is a directory. Name the files in it.")
    if stat.S_ISSOCK(mode) and path != STDIN:
        raise UsageError(f"{name} is a socket. Name a file, or pipe its output into {STDIN}.")
    if stat.S_ISBLK(mode):
        raise UsageError(f"{name} is a block device. Name a file.")


def check_distinct(paths: Sequence[str]) -> None:
    """Raise UsageError for a pipe named twice: two readers would split its lines."""
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        status = _status(path)
        if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
            continue
        place = status.st_dev, status.st_ino
        if place in seen:
            raise UsageError(
                f"{name_of(seen[place])} and {name_of(path)} are the same pipe, which can be read"
                " only once. Name it once."
            )
        seen[place] = path


def _status(path: str) -> os.stat_result:
    return os.fstat(0) if path == STDIN else Path(path).stat()
