"""The output directory: one owner at a time, private, durable names."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from worker.errors import DirectoryInUseError, UsageError

_LOCK = ".lock"


class OutputDirectory:
    """A directory that one process owns while it is open.

    Entering it creates the directory (mode 0700) if it is not there, unless `create` is False,
    and locks it; raises UsageError if it can't be used, DirectoryInUseError if another process
    owns it. `purpose` tells others what for. The lock ends with the process, however that ends.
    """

    def __init__(self, path: Path, *, create: bool = True, purpose: str = "run") -> None:
        self.path = path
        self._purpose = purpose
        self._create = create
        self._lock_fd = -1
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            if self._create:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._lock_fd = os.open(
                _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._fd
            )
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._lock_fd, 0)
            os.pwrite(self._lock_fd, f"cxai {self._purpose}, process {os.getpid()}".encode(), 0)
        except OSError as error:
            owner = self._owner() if error.errno == errno.EWOULDBLOCK else ""
            self.close()
            if owner:
                raise DirectoryInUseError(
                    f"{self.path} is in use by {owner}. Wait for it or stop it;"
                    f" `cxai status {self.path}` shows how far a run is."
                ) from None
            raise UsageError(
                f"Can't use {self.path} as the output directory: {error.strerror}."
            ) from error
        return self

    def sync(self) -> None:
        """Make names in the directory (created, renamed, removed) durable."""
        os.fsync(self._fd)

    def replace(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Write a small file whole: whoever reads it sees the old or the new, never a part."""
        scratch = f".{name}.new"
        with suppress(FileNotFoundError):  # of a run that was killed, or whatever else stands there
            os.unlink(scratch, dir_fd=self._fd)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(scratch, flags, 0o600, dir_fd=self._fd), "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.rename(scratch, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        if durable:
            self.sync()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the directory up."""
        for fd in (self._lock_fd, self._fd):
            if fd >= 0:
                os.close(fd)
        self._lock_fd = self._fd = -1

    def _owner(self) -> str:
        return os.pread(self._lock_fd, 64, 0).decode("ascii", "replace") or "another process"
