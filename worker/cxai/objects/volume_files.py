"""Objects as files: the system calls, in an order that survives a crash at each of them.

A file is written below `_pending/` and synced. Only then it is linked to its own name, which fails
if that exists, and the directories are synced up to the root. So a file under its own name is
complete, and a crash leaves files only below `_pending/`. Everything here blocks, and raises
OSError.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cxai.objects.directory_entry import DirectoryEntry
from cxai.objects.port import PENDING, Listed, StoreRefusedError, TakenError, checked_name
from cxai.output.durable import sync
from cxai.output.private import DIRECTORY_MODE, make_directories, open_private

CHUNK_BYTES = 1 << 20

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class VolumeFiles:
    """The objects below a directory; put_new, publish, replace and delete as in the port.

    If there is no `_pending/`, this is not an object store, or its volume is not mounted: every
    method but `prepare` raises StoreRefusedError, so that nothing is written beside the volume.
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
            if not place.holds(data):
                raise TakenError(f"{self.root / name} already exists, with different content.")
            place.sync()

    def publish(self, pending: str, name: str, sha256: bytes) -> None:
        with self._place(pending, create=True) as source, self._place(name, create=True) as place:
            try:
                place.link_from(source)
            except (FileExistsError, FileNotFoundError):
                if not place.is_same_file(source) and place.sha256() != sha256:
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
        """Return a descriptor of an object, None if it does not exist."""
        with suppress(FileNotFoundError), self._place(name) as place:
            return place.open()
        return None

    def names(self, prefix: str, after: str) -> list[Listed]:
        """Return what the port's `names` yields, unsorted and without links."""
        with suppress(FileNotFoundError), self._place(f"{prefix}/x") as place:
            return list(_below(place.directory, f"{prefix}/", after))
        return []

    @contextmanager
    def _place(self, name: str, *, create: bool = False) -> Iterator[DirectoryEntry]:
        """Open the directories of a name, following no link below the root."""
        *directories, leaf = checked_name(name).split("/")
        fds: list[int] = []
        try:
            fds.append(self._open_root())
            for directory in directories:
                fds.append(_open_directory(fds[-1], directory, create=create))
            yield DirectoryEntry(fds, leaf)
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
                f"{self.root} has no directory {PENDING}/, as every destination has: it is another"
                " directory, or its volume is not mounted on this machine. Nothing was written."
            ) from None
        return fd

    def _created(self, place: DirectoryEntry, data: bytes) -> bool:
        """Write the object; return False if the name was taken meanwhile."""
        with self._scratch(place.leaf, data) as scratch:
            try:
                place.link_from(scratch)
            except FileExistsError:
                return False
            place.sync()
        return True

    @contextmanager
    def _scratch(self, leaf: str, data: bytes) -> Iterator[DirectoryEntry]:
        """Yield a new synced file below `_pending/`, and remove it afterwards."""
        with self._place(f"{PENDING}/{leaf}.{secrets.token_hex(4)}.partial") as scratch:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            fd = open_private(scratch.leaf, flags, dir_fd=scratch.directory)
            try:
                try:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[os.write(fd, rest[:CHUNK_BYTES]) :]
                    sync(fd)
                finally:
                    os.close(fd)  # NFS and quotas may report a full disk here
                yield scratch
            finally:
                with suppress(OSError):  # it is swept later, like all leftovers
                    scratch.remove()

    def _misplaced(self, source: DirectoryEntry, pending: str, name: str) -> TakenError:
        if source.stat() is None:
            return TakenError(
                f"{self.root / pending} is missing, and {self.root / name} is missing or has"
                " different content: they were deleted or changed."
            )
        return TakenError(
            f"{self.root / name} already exists, with different content than {pending}."
        )


def _open_directory(parent: int, name: str, *, create: bool) -> int:
    flags = _DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):  # another process created it
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
    fd = os.open(name, flags, dir_fd=parent)
    with suppress(OSError):  # a file system without modes
        os.fchmod(fd, DIRECTORY_MODE)
    return fd


def _below(directory: int, prefix: str, after: str) -> Iterator[Listed]:
    with os.scandir(directory) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):  # the file system's own: .nfs…, .snapshot
                continue
            with suppress(FileNotFoundError):  # published or swept meanwhile
                if entry.is_dir(follow_symlinks=False):
                    yield from _below_directory(directory, entry.name, name, after)
                elif entry.is_file(follow_symlinks=False) and name > after:
                    written_s = entry.stat(follow_symlinks=False).st_mtime
                    yield Listed(name, datetime.fromtimestamp(written_s, UTC))


def _below_directory(parent: int, leaf: str, name: str, after: str) -> Iterator[Listed]:
    fd = _open_directory(parent, leaf, create=False)
    try:
        yield from _below(fd, f"{name}/", after)
    finally:
        os.close(fd)
