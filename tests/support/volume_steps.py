"""Crashes and power losses at one chosen system call of what writes files in open directories."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from support.crashing import Steps


class VolumeSteps(Steps):
    """Steps for calls with `dir_fd`.

    A power loss takes back what was not synced; with `power, but not for removals`, all of that but
    the names that were removed: a file system need not keep the order of two directories.
    """

    def __init__(self, crash_at=None, how="before", *, since=None):
        self._removals_last = how == "power, but not for removals"
        super().__init__(crash_at, "power" if self._removals_last else how, since=since)

    NAMES = ("write", "fsync", "link", "unlink", "rename", "mkdir")

    def _watched_open(self, call):
        creating = self.watched("open", call)

        def step(path, flags, *arguments, **named):
            return (creating if flags & os.O_CREAT else call)(path, flags, *arguments, **named)

        return step

    def _crash(self, name, call, arguments, named):
        if self._how == "torn" and name == "write":
            fd, data = arguments
            self._noted(name, call, (fd, data[: len(data) // 2]), named)
        elif self._how == "after":
            with suppress(OSError):  # a call that failed
                self._noted(name, call, arguments, named)
        else:
            super()._crash(name, call, arguments, named)

    def _noted(self, name, call, arguments, named):
        match name:
            case "write":
                self.volatile.written(arguments[0], os.fstat(arguments[0]).st_size)
            case "unlink":
                self._removed(path_of(arguments[0], named.get("dir_fd")))
            case "rename":
                there = path_of(arguments[1], named["dst_dir_fd"])
                if there.exists():
                    self._replaced(there)
        result = call(*arguments, **named)
        match name:
            case "fsync":
                self.volatile.synced(*arguments)
            case "open":
                self.volatile.created(path_of(arguments[0], named["dir_fd"]))
            case "link":
                self.volatile.created(path_of(arguments[1], named["dst_dir_fd"]))
            case "mkdir":
                self._directory_created(path_of(arguments[0], named.get("dir_fd")))
            case "rename":
                old = path_of(arguments[0], named["src_dir_fd"])
                new = path_of(arguments[1], named["dst_dir_fd"])
                self._undone_with(new.parent, lambda: new.rename(old))
        return result

    def _removed(self, path):
        if not self._removals_last:
            self._replaced(path)

    def _replaced(self, path):
        content = path.read_bytes()
        self._undone_with(path.parent, lambda: path.write_bytes(content))

    def _directory_created(self, path):
        self._undone_with(path.parent, lambda: shutil.rmtree(path))

    def _undone_with(self, directory, undo):
        self.volatile._changes.append((directory.stat().st_ino, undo))


def path_of(name, dir_fd):
    return Path(f"/proc/self/fd/{dir_fd}").readlink() / name if dir_fd is not None else Path(name)
