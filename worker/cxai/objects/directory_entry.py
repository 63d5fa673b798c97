"""A name in a directory that is open: no link is followed on the way to it, nor at its end."""

import errno
import hashlib
import os
import stat
from contextlib import suppress

from cxai.output.durable import sync

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO})


class DirectoryEntry:
    """The name `leaf` in the last of some open directories, of which the root is the first.

    Everything blocks, and raises OSError.
    """

    def __init__(self, fds: list[int], leaf: str) -> None:
        self._fds = fds
        self.directory = fds[-1]
        self.leaf = leaf

    def sync(self) -> None:
        """Make the name durable; also a directory above it that another process has created."""
        for fd in reversed(self._fds):
            sync(fd)

    def stat(self) -> os.stat_result | None:
        """Return what is known of what stands there, None if nothing does."""
        with suppress(FileNotFoundError):
            return os.stat(self.leaf, dir_fd=self.directory, follow_symlinks=False)
        return None

    def open(self) -> int | None:
        """Return a descriptor of the file, None if there is none, or something else."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(self.leaf, flags, dir_fd=self.directory)
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None

    def remove(self) -> None:
        """Remove the name, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(self.leaf, dir_fd=self.directory)

    def link_from(self, source: "DirectoryEntry") -> None:
        """Give a file this name too. Raises FileExistsError if it is taken."""
        here, there = source.directory, self.directory
        try:
            os.link(
                source.leaf, self.leaf, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False
            )
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # SMB and some others have no hard links. Two that write different objects of one name
            # in the same instant are not kept apart there; no two workers ever choose one name.
            if self.stat() is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.leaf) from None
            os.rename(source.leaf, self.leaf, src_dir_fd=here, dst_dir_fd=there)

    def sha256(self) -> bytes | None:
        """Return the checksum of the file, None if there is none."""
        fd = self.open()
        if fd is None:
            return None
        with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            return hashlib.file_digest(file, "sha256").digest()

    def holds(self, data: bytes) -> bool:
        """Whether the file is there, with that content."""
        there = self.stat()
        if there is None or there.st_size != len(data):
            return False
        return self.sha256() == hashlib.sha256(data).digest()

    def is_one_with(self, other: "DirectoryEntry") -> bool:
        """Whether both names are of the same file."""
        here, there = self.stat(), other.stat()
        return here is not None and there is not None and os.path.samestat(here, there)
