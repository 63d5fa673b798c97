"""The output directory: one owner at a time, private, durable names."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from cxai.errors import DirectoryInUseError, StopCause, StoppedError, UsageError
from cxai.output.contents import LOCK_NAME, QUARANTINE
from cxai.output.durable import sync
from cxai.output.private import is_displaced, make_directories, make_directory, open_private

_MAY_PASS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENFILE, errno.EMFILE})


class OutputDirectory:
    """A directory that one process owns while it is open.

    Entering it creates the directory (mode 0700) if needed, unless `create` is False, and locks it;
    raises UsageError if it can't be used, StoppedError if its disk is full or fails,
    DirectoryInUseError, which names the owner's `purpose`. The lock ends with the process. A `with`
    block that ends with an error removes what entering it created, unless there are other files.
    """

    def __init__(self, path: Path, *, create: bool = True, purpose: str = "run") -> None:
        self.path = path
        self._purpose = purpose
        self._create = create
        self._lock_fd = -1
        self._fd = -1
        self._created: list[Path] = []  # directories, outermost first
        self._created_lock = False

    def __enter__(self) -> Self:
        try:
            if self._create:
                make_directories(self.path, self._created)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._lock()
        except OSError as error:
            owner = self._owner() if error.errno == errno.EWOULDBLOCK else ""
            if owner:
                self.close()
                raise DirectoryInUseError(self.path, self._purpose, owner) from None
            self._remove_created()
            self.close()
            problem = f"Can't use {self.path} as the output directory: {error.strerror}."
            if error.errno in _MAY_PASS:
                raise StoppedError(
                    f"{problem} Nothing was changed: free up space and inodes, or fix the disk, and"
                    " run the same command again.",
                    StopCause.DISK,
                ) from error
            raise UsageError(problem) from error
        return self

    @property
    def is_displaced(self) -> bool:
        """Whether it was moved, removed or replaced. Raises OSError."""
        return is_displaced(self.path, os.fstat(self._fd), follow=True)

    @property
    def place_now(self) -> Path | None:
        """Its path after it was moved, None if it was deleted or can't be found."""
        with suppress(OSError):
            place = Path(f"/proc/self/fd/{self._fd}").readlink()
            if os.path.samestat(place.stat(), os.fstat(self._fd)):
                return place
        return None

    def sync(self) -> None:
        """Make names in the directory (created, renamed, removed) durable."""
        sync(self._fd)

    def replace(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Write a small file whole: a reader sees the old content or the new, never a part."""
        scratch = f".{name}.new"
        with suppress(FileNotFoundError):  # left by a run that was killed
            os.unlink(scratch, dir_fd=self._fd)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(open_private(scratch, flags, dir_fd=self._fd), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            if durable:
                sync(file.fileno())
        os.rename(scratch, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        if durable:
            self.sync()

    def remove(self, name: str) -> None:
        """Delete a file; not durable before `sync`. Raises OSError."""
        os.unlink(name, dir_fd=self._fd)

    def quarantine_path(self, name: str) -> Path:
        """Return a free path in the quarantine folder, creating that. Raises OSError."""
        folder = self.path / QUARANTINE
        if not folder.exists():
            make_directory(folder)
        target, copies = folder / name, 1
        while os.path.lexists(target):
            copies += 1
            target = folder / f"{name}.{copies}"
        return target

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is not None:
            self._remove_created()
        self.close()

    def close(self) -> None:
        """Give the directory up."""
        for fd in (self._lock_fd, self._fd):
            if fd >= 0:
                with suppress(OSError):  # nothing was written to it
                    os.close(fd)
        self._lock_fd = self._fd = -1

    def _lock(self) -> None:
        self._created_lock = not os.path.lexists(self.path / LOCK_NAME)
        self._lock_fd = open_private(
            LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, dir_fd=self._fd
        )
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A refused command may have deleted the file meanwhile: then the lock has no effect.
        ours, there = os.fstat(self._lock_fd), os.stat(LOCK_NAME, dir_fd=self._fd)
        if not os.path.samestat(ours, there):
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, f"cxai {self._purpose}, process {os.getpid()}".encode(), 0)

    def _remove_created(self) -> None:
        if self._created_lock and self._lock_fd >= 0:
            with suppress(OSError):
                os.unlink(LOCK_NAME, dir_fd=self._fd)
        for path in reversed(self._created):
            with suppress(OSError):  # another process uses it by now
                path.rmdir()
        self._created = []
        self._created_lock = False

    def _owner(self) -> str:
        return os.pread(self._lock_fd, 64, 0).decode("ascii", "replace") or "another process"
