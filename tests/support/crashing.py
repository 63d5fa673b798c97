"""Crashes and power losses at one chosen system call, in this process, within milliseconds."""

import errno
import os
from pathlib import Path

import pytest


class CrashedError(BaseException):
    """The process is gone. Nothing catches it, so nothing is tidied up."""


class Volatile:
    """What a power loss takes along: each change of a file or a name that was not synced."""

    def __init__(self):
        self._changes = []  # (inode whose sync makes it durable, what undoes it), in order

    def written(self, fd, offset):
        self._of_file(fd, lambda path: os.truncate(path, offset))

    def cut(self, fd, length):
        tail = os.pread(fd, os.fstat(fd).st_size, length)
        self._of_file(fd, lambda path: path.write_bytes(path.read_bytes()[:length] + tail))

    def created(self, path):
        self._changes.append((path.parent.stat().st_ino, lambda: path.unlink(missing_ok=True)))

    def renamed(self, old, new):
        self._changes.append((old.parent.stat().st_ino, lambda: new.rename(old)))

    def synced(self, fd):
        inode = os.fstat(fd).st_ino
        self._changes = [change for change in self._changes if change[0] != inode]

    def lose(self):
        for _, undo in reversed(self._changes):
            undo()

    def _of_file(self, fd, undo):
        directory = Path(f"/proc/self/fd/{fd}").readlink().parent
        inode = os.fstat(fd).st_ino

        def undo_by_inode():  # whatever the file is called by then
            undo(next(path for path in directory.iterdir() if path.stat().st_ino == inode))

        self._changes.append((inode, undo_by_inode))


class Steps:
    """A context manager that counts the system calls that change files; may crash at one of them.

    `crash_at` is the number of the call (from 0). `how` it crashes: `before` or `after` the call;
    `torn`, after half of a write; or by a `power` loss before it (or behind the last call). A power
    loss takes along what was not synced, also by an earlier run, whose Steps are `since`. Once
    crashed, no call does anything any more. With `error` it does not crash: that one call fails,
    as on a broken disk. Nor with `full`: half of that write still fits, and no write after it.
    """

    NAMES = ("pwritev", "pwrite", "fdatasync", "fsync", "ftruncate", "rename")

    def __init__(self, crash_at=None, how="before", *, since=None):
        self.taken = []
        self.volatile = since.volatile if since else Volatile()
        self._crash_at = crash_at
        self._how = how
        self._patch = pytest.MonkeyPatch()

    def __enter__(self):
        for name in self.NAMES:
            self._patch.setattr(os, name, self.watched(name, getattr(os, name)))
        self._patch.setattr(os, "open", self._watched_open(os.open))
        return self

    def __exit__(self, *exc):
        self._patch.undo()
        if self._how == "power" and len(self.taken) <= self._crash_at:
            self.volatile.lose()

    def watched(self, name, call):
        """Return a call that is counted as one of the steps, and may be the one that crashes."""

        def step(*arguments, **named):
            number = len(self.taken)
            self.taken.append(name)
            if number == self._crash_at:
                if self._how == "full":
                    return self._half_a_write(call, arguments)
                self._crash(name, call, arguments, named)
            elif self._how == "full" and self._is_over and name.startswith("pwrite"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            elif not self._is_over or self._how in {"error", "full"}:
                return self._noted(name, call, arguments, named)
            raise CrashedError

        return step

    @property
    def _is_over(self):
        return self._crash_at is not None and len(self.taken) > self._crash_at + 1

    def _half_a_write(self, call, arguments):
        fd, chunks, offset = arguments
        content = b"".join(chunks)
        return self._noted("pwritev", call, (fd, [content[: len(content) // 2]], offset), {})

    def _watched_open(self, call):
        def step(path, flags, *arguments, **named):
            is_new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
            fd = call(path, flags, *arguments, **named)
            if is_new:
                self.volatile.created(Path(path))
            return fd

        return step

    def _crash(self, name, call, arguments, named):
        match self._how:
            case "error":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case "after":
                self._noted(name, call, arguments, named)
            case "torn" if name == "pwritev":
                self._half_a_write(call, arguments)
            case "power":
                self._patch.undo()
                self.volatile.lose()

    def _noted(self, name, call, arguments, named):
        match name, arguments:
            case "pwritev", (fd, _, offset):
                self.volatile.written(fd, offset)
            case "ftruncate", (fd, length):
                self.volatile.cut(fd, length)
            case "rename", (Path() as old, Path() as new):
                self.volatile.renamed(old, new)
        result = call(*arguments, **named)
        if name in {"fdatasync", "fsync"}:
            self.volatile.synced(*arguments)
        return result
