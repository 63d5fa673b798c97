"""A name in an open directory, reached without following any symbolic link."""

import errno
import hashlib
import os
import stat
from contextlib import suppress

from cxai.output.durable import sync

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO})


class DirectoryEntry:
    """The name `leaf` in the last of these open directories; the first is the root."""

    def __init__(self, fds: list[int], leaf: str) -> None:
        self._fds = fds
        self.directory = fds[-1]
        self.leaf = leaf

    def sync(self) -> None:
        """Make the name durable, and the directories above it, old ones too."""
        for fd in reversed(self._fds):
            sync(fd)

    def stat(self) -> os.stat_result | None:
        """Return the metadata of the name, None if it does not exist."""
        with suppress(FileNotFoundError):
            return os.stat(self.leaf, dir_fd=self.directory, follow_symlinks=False)
        return None

    def open(self) -> int | None:
        """Return a descriptor of the file, None if there is no regular file."""
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
        """Remove the name if it exists."""
        with suppress(FileNotFoundError):
            os.unlink(self.leaf, dir_fd=self.directory)

    def link_from(self, source: "DirectoryEntry") -> None:
        """Link a file to this name too. Raises FileExistsError if the name is taken."""
        ours, theirs = self.directory, source.directory
        try:
            os.link(
                source.leaf, self.leaf, src_dir_fd=theirs, dst_dir_fd=ours, follow_symlinks=False
            )
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # SMB and some others have no hard links, so two concurrent writers of one name are not
            # detected there; no two workers ever choose the same name.
            if self.stat() is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.leaf) from None
            os.rename(source.leaf, self.leaf, src_dir_fd=theirs, dst_dir_fd=ours)

    def sha256(self) -> bytes | None:
        """Return the checksum of the file, None if there is no regular file."""
        fd = self.open()
        if fd is None:
            return None
        with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            return hashlib.file_digest(file, "sha256").digest()

    def holds(self, data: bytes) -> bool:
        """Whether the file exists, with this content."""
        found = self.stat()
        if found is None or found.st_size != len(data):
            return False
        return self.sha256() == hashlib.sha256(data).digest()

    def is_same_file(self, other: "DirectoryEntry") -> bool:
        """Whether both names belong to the same file."""
        ours, theirs = self.stat(), other.stat()
        return ours is not None and theirs is not None and os.path.samestat(ours, theirs)
