"""Objects as files: the system calls, in an order that survives a crash at each of them.

A file is written below `_pending/`, under a name that no other call has, and synced. Only then it
is linked to the name that it is for, which fails if there is one already, and the directories are
synced up to the root. So whatever stands under a name is whole, and what a crash leaves behind lies
below `_pending/`. Everything here blocks. Raises OSError where nothing else is said.
"""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cxai.objects.port import PENDING, Listed, StoreRefusedError, TakenError, checked_name
from cxai.output.durable import sync
from cxai.output.private import DIRECTORY_MODE, make_directories, open_private

CHUNK_BYTES = 1 << 20

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class _Place:
    """A name in an open directory, and the directories above it."""

    def __init__(self, fds: list[int], leaf: str) -> None:
        self._fds = fds  # the root first
        self.directory = fds[-1]
        self.leaf = leaf

    def sync(self) -> None:
        """Make the name durable; also a directory above it that another process has created."""
        for fd in reversed(self._fds):
            sync(fd)

    def stat(self) -> os.stat_result | None:
        with suppress(FileNotFoundError):
            return os.stat(self.leaf, dir_fd=self.directory, follow_symlinks=False)
        return None

    def open(self) -> int | None:
        """Return a descriptor of the file, None if there is none, or something else."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(self.leaf, flags, dir_fd=self.directory)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.EMLINK, errno.ENXIO}:
                return None
            raise
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.leaf, dir_fd=self.directory)


class VolumeFiles:
    """The objects below a directory; put_new, publish, replace and delete as the port says.

    A directory without `_pending/` is no such place, or its volume is not mounted: every method
    but `prepare` raises StoreRefusedError then, so that nothing is written beside the volume.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Create the directory and its `_pending/`, durably."""
        created: list[Path] = []
        make_directories(self.root / PENDING, created)
        for path in created:
            fd = os.open(path.parent, _DIRECTORY)
            try:
                sync(fd)
            finally:
                os.close(fd)

    def put_new(self, name: str, data: bytes) -> None:
        with self._place(name, create=True) as place:
            if place.stat() is None and self._created(place, data):
                return
            if not _holds(place, data):
                raise TakenError(f"{self.root / name} is there already, with another content.")
            place.sync()

    def publish(self, pending: str, name: str, sha256: bytes) -> None:
        with self._place(pending, create=True) as source, self._place(name, create=True) as place:
            try:
                _link(source, place)
            except (FileExistsError, FileNotFoundError):
                if not _are_one(source, place) and _sha256(place) != sha256:
                    raise self._misplaced(source, pending, name) from None
            place.sync()
            source.remove()
            source.sync()

    def replace(self, name: str, data: bytes) -> None:
        with self._place(name, create=True) as place, self._scratch(place.leaf, data) as scratch:
            os.rename(
                scratch.leaf, place.leaf, src_dir_fd=scratch.directory, dst_dir_fd=place.directory
            )
            place.sync()

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError), self._place(name) as place:
            place.remove()
            place.sync()

    def open(self, name: str) -> int | None:
        """Return a descriptor of an object, None if there is none."""
        with suppress(FileNotFoundError), self._place(name) as place:
            return place.open()
        return None

    def names(self, prefix: str, after: str) -> list[Listed]:
        """Return what `names` of the port yields, but in no order; links are left out."""
        with suppress(FileNotFoundError), self._place(f"{prefix}/x") as place:
            return list(_below(place.directory, f"{prefix}/", after))
        return []

    @contextmanager
    def _place(self, name: str, *, create: bool = False) -> Iterator[_Place]:
        """Open the directories of a name, following no link below the root."""
        *directories, leaf = checked_name(name).split("/")
        fds: list[int] = []
        try:
            fds.append(self._open_root())
            for directory in directories:
                fds.append(_open_directory(fds[-1], directory, create=create))
            yield _Place(fds, leaf)
        finally:
            for fd in fds:
                os.close(fd)

    def _open_root(self) -> int:
        try:
            fd = os.open(self.root, _DIRECTORY)
            try:
                os.close(os.open(PENDING, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd))
            except OSError:
                os.close(fd)
                raise
        except (FileNotFoundError, NotADirectoryError):
            raise StoreRefusedError(
                f"{self.root} has no directory {PENDING}/, as each place for objects has: it is"
                " another directory, or its volume is not mounted on this machine. Nothing was"
                " written."
            ) from None
        return fd

    def _created(self, place: _Place, data: bytes) -> bool:
        """Write the object; return False if there is one by now."""
        with self._scratch(place.leaf, data) as scratch:
            try:
                _link(scratch, place)
            except FileExistsError:
                return False
            place.sync()
        return True

    @contextmanager
    def _scratch(self, leaf: str, data: bytes) -> Iterator[_Place]:
        """Yield a new synced file below `_pending/`, which is gone afterwards."""
        with self._place(f"{PENDING}/{leaf}.{secrets.token_hex(4)}.partial") as scratch:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            fd = open_private(scratch.leaf, flags, dir_fd=scratch.directory)
            try:
                try:
                    _write(fd, data)
                    sync(fd)
                finally:
                    os.close(fd)  # NFS and quotas may report a full disk here
                yield scratch
            finally:
                with suppress(OSError):  # it is swept with all else that was left there
                    scratch.remove()

    def _misplaced(self, source: _Place, pending: str, name: str) -> TakenError:
        if source.stat() is None:
            return TakenError(
                f"{self.root / pending} is not there, and {self.root / name} is not what it was:"
                " somebody has deleted or changed them."
            )
        return TakenError(
            f"{self.root / name} is there already, with another content than {pending}."
        )


def _open_directory(parent: int, name: str, *, create: bool) -> int:
    flags = _DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another process was quicker
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
    fd = os.open(name, flags, dir_fd=parent)
    with suppress(OSError):  # a file system that has no modes
        os.fchmod(fd, DIRECTORY_MODE)
    return fd


def _link(source: _Place, place: _Place) -> None:
    """Give a file a second name. Raises FileExistsError if that is taken."""
    here, there = source.directory, place.directory
    try:
        os.link(source.leaf, place.leaf, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # SMB and some others have no hard links. Two that write different objects of one name in
        # the same instant are not held apart there; no two workers ever choose the same name.
        if place.stat() is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place.leaf) from None
        os.rename(source.leaf, place.leaf, src_dir_fd=here, dst_dir_fd=there)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest[:CHUNK_BYTES]) :]


def _holds(place: _Place, data: bytes) -> bool:
    there = place.stat()
    return (
        there is not None
        and there.st_size == len(data)
        and (_sha256(place) == hashlib.sha256(data).digest())
    )


def _are_one(one: _Place, other: _Place) -> bool:
    """Whether both names are of the same file: a crash came between its link and its unlink."""
    here, there = one.stat(), other.stat()
    return here is not None and there is not None and os.path.samestat(here, there)


def _sha256(place: _Place) -> bytes | None:
    """Return the checksum of a file, None if there is none."""
    fd = place.open()
    if fd is None:
        return None
    with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        return hashlib.file_digest(file, "sha256").digest()


def _below(directory: int, prefix: str, after: str) -> Iterator[Listed]:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):  # of the file system: .nfs…, .snapshot
                continue
            with suppress(FileNotFoundError):  # published or swept since
                if entry.is_dir(follow_symlinks=False):
                    yield from _below_directory(directory, entry.name, name, after)
                elif entry.is_file(follow_symlinks=False) and name > after:
                    there = entry.stat(follow_symlinks=False)
                    yield Listed(name, there.st_size, datetime.fromtimestamp(there.st_mtime, UTC))


def _below_directory(parent: int, leaf: str, name: str, after: str) -> Iterator[Listed]:
    fd = _open_directory(parent, leaf, create=False)
    try:
        yield from _below(fd, f"{name}/", after)
    finally:
        os.close(fd)
