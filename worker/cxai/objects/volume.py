"""A directory, local or shared by machines (NFS, SMB, Lustre), as an object store."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from cxai.errors import UsageError
from cxai.objects.port import LEAST_S, Listed, StoreError, StoreRefusedError, deadline_s
from cxai.objects.probe import probe
from cxai.objects.volume_files import CHUNK_BYTES, VolumeFiles

T = TypeVar("T")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = {
    errno.EACCES: "Give this user the right to read and write there.",
    errno.EPERM: "Give this user the right to read and write there.",
    errno.EROFS: "Mount the volume for writing.",
    errno.ENOTDIR: "It must be a directory, not a file or a symbolic link: move it away.",
    errno.ENAMETOOLONG: "Choose a path with shorter names.",
}


class Volume:
    """Adapter of ObjectStore for the directory `root`. The constructor does no IO.

    Calls run one after the other on one thread: a call that timed out (after `least_s`, and more
    for large objects) can't overtake a later one.
    """

    def __init__(self, root: Path, *, least_s: float = LEAST_S) -> None:
        self._files = VolumeFiles(root)
        self._least_s = least_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="volume")

    @property
    def location(self) -> str:
        return str(self._files.root)

    async def prepare(self) -> None:
        try:
            await self._run("create", self._files.prepare)
        except StoreRefusedError as error:
            raise UsageError(str(error)) from None
        await self.check()

    async def check(self) -> None:
        await probe(self)

    async def put_new(self, name: str, data: bytes) -> None:
        await self._run(f"write {name} in", lambda: self._files.put_new(name, data), len(data))

    async def publish(self, pending: str, name: str, sha256: bytes) -> None:
        await self._run(
            f"rename {pending} to {name} in", lambda: self._files.publish(pending, name, sha256)
        )

    async def replace(self, name: str, data: bytes) -> None:
        await self._run(f"write {name} in", lambda: self._files.replace(name, data), len(data))

    async def names(self, prefix: str, after: str = "") -> AsyncGenerator[Listed, None]:
        found = await self._run(f"list {prefix}/ in", lambda: self._files.names(prefix, after))
        for one in sorted(found, key=lambda listed: listed.name):
            yield one

    async def read(self, name: str) -> AsyncGenerator[bytes, None]:
        reading = _Reading(self._files, name)
        try:
            while chunk := await self._run(f"read {name} in", reading.next_chunk, CHUNK_BYTES):
                yield chunk
            if chunk is None:
                raise FileNotFoundError(errno.ENOENT, "No such object", name)
        finally:
            try:
                self._thread.submit(reading.close)
            except RuntimeError:  # the store was closed first
                reading.close()

    async def delete(self, name: str) -> None:
        await self._run(f"delete {name} in", lambda: self._files.delete(name))

    async def close(self) -> None:
        self._thread.shutdown(wait=False)

    async def _run(self, what: str, work: Callable[[], T], size: int = 0) -> T:
        """Run `work` on the thread. `what` is what it does, up to the location: "read x in"."""
        timeout_s = deadline_s(size, self._least_s)
        call = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            await asyncio.wait([call], timeout=timeout_s)
        finally:
            call.cancel()  # no effect if it is done
        if call.cancelled():
            raise StoreError(
                f"Can't {what} {self.location}: no response from the file system for"
                f" {timeout_s:.0f} s. Check the volume and its server."
            )
        try:
            return call.result()
        except OSError as error:
            raise self._error(what, error) from error

    def _error(self, what: str, error: OSError) -> StoreError:
        failed = f"Can't {what} {self.location}: {error.strerror}."
        if error.errno in _FULL:
            return StoreError(f"{failed} Free up space and inodes there, or raise the quota.")
        if (advice := _REFUSED.get(error.errno or 0)) is not None:
            return StoreRefusedError(f"{failed} {advice}")
        return StoreError(f"{failed} Check the volume and its server.")


class _Reading:
    """One file being read; only the thread uses it, so it is never closed during a read."""

    def __init__(self, files: VolumeFiles, name: str) -> None:
        self._files = files
        self._name = name
        self._fd: int | None = None

    def next_chunk(self) -> bytes | None:
        """Return the next chunk, empty at the end, None if the file does not exist."""
        if self._fd is None:
            self._fd = self._files.open(self._name)
        return None if self._fd is None else os.read(self._fd, CHUNK_BYTES)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
