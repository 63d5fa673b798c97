"""A bucket of a cloud (S3, Google Cloud Storage, Azure) as an object store.

An object is created only if none has its name. If the response was lost, the next attempt reads the
object of that name and compares it.
"""

import asyncio
import errno
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import TypeAlias, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from cxai.objects.cloud_errors import failure_of, store_error
from cxai.objects.port import LEAST_S, Listed, StoreError, TakenError, checked_name, deadline_s
from cxai.objects.probe import probe

Store: TypeAlias = S3Store | GCSStore | AzureStore
T = TypeVar("T")

CHUNK_BYTES = 1 << 20
PAGE = 1000  # of a listing


class CloudStore:
    """Adapter of ObjectStore. `store` has the destination's prefix, `location` is its URL.

    The time limit of a call is `least_s`, and more for large objects (port.deadline_s).
    """

    def __init__(self, store: Store, location: str, *, least_s: float = LEAST_S) -> None:
        self._store = store
        self._location = location
        self._least_s = least_s

    @property
    def location(self) -> str:
        return self._location

    async def prepare(self) -> None:
        await self.check()

    async def check(self) -> None:
        await probe(self)

    async def put_new(self, name: str, data: bytes) -> None:
        what = f"write {checked_name(name)} to"
        put = obstore.put_async(self._store, name, data, mode="create", use_multipart=False)
        if await self._do(what, _is_created(put), len(data)):
            return
        found = await self._sha256(name)
        if found is None:
            raise StoreError(
                f"Can't {what} {self._location}: another call is writing or has deleted it."
            )
        if found != hashlib.sha256(data).digest():
            raise self._taken(name)

    async def publish(self, pending: str, name: str, sha256: bytes) -> None:
        checked_name(pending), checked_name(name)
        # Conditional copies differ from store to store. None is needed: a final name belongs to one
        # object, so concurrent calls copy the same content.
        is_copied = await self._size(name) is None and await self._copied(pending, name)
        if not is_copied and await self._sha256(name) != sha256:
            raise await self._misplaced(pending, name)
        await self.delete(pending)

    async def replace(self, name: str, data: bytes) -> None:
        put = obstore.put_async(self._store, checked_name(name), data, use_multipart=False)
        await self._do(f"write {name} to", put, len(data))

    async def names(self, prefix: str, after: str = "") -> AsyncGenerator[Listed, None]:
        pages = obstore.list(
            self._store, checked_name(prefix), offset=after or None, chunk_size=PAGE
        )
        async for page in self._each(f"list {prefix}/ in", aiter(pages)):
            for one in page:
                # A folder made in a console is listed too, as an object without a name.
                if one["path"].startswith(f"{prefix}/") and one["path"] > after:
                    yield Listed(one["path"], one["last_modified"])

    async def read(self, name: str) -> AsyncGenerator[bytes, None]:
        what = f"read {checked_name(name)} in"
        got = await self._if_there(what, obstore.get_async(self._store, name))
        if got is None:
            raise FileNotFoundError(errno.ENOENT, "No such object", name)
        async for chunk in self._each(what, aiter(got.stream(CHUNK_BYTES))):
            yield bytes(chunk)

    async def delete(self, name: str) -> None:
        delete = obstore.delete_async(self._store, checked_name(name))
        await self._if_there(f"delete {name} in", delete)

    async def close(self) -> None:
        """Do nothing: connections close with the store."""

    async def _copied(self, pending: str, name: str) -> bool:
        """Copy the object completely; return False if it does not exist."""
        what = f"copy {pending} to {name} in"
        size = await self._size(pending)
        if size is None or not await self._if_there(what, self._copy(pending, name), size):
            return False
        if await self._size(name) != size:
            raise StoreError(f"Can't {what} {self._location}: the copy is incomplete.")
        return True

    async def _copy(self, pending: str, name: str) -> bool:
        await obstore.copy_async(self._store, pending, name)
        return True

    async def _size(self, name: str) -> int | None:
        """Return the size of an object in bytes, None if it does not exist."""
        head = await self._if_there(f"look for {name} in", obstore.head_async(self._store, name))
        return None if head is None else head["size"]

    async def _sha256(self, name: str) -> bytes | None:
        """Return the checksum of an object's content, None if it does not exist."""
        checksum = hashlib.sha256()
        try:
            async for chunk in self.read(name):
                checksum.update(chunk)
        except FileNotFoundError:
            return None
        return checksum.digest()

    def _taken(self, name: str) -> TakenError:
        return TakenError(f"{name} already exists in {self._location}, with different content.")

    async def _misplaced(self, pending: str, name: str) -> TakenError:
        if await self._size(pending) is not None:
            return self._taken(name)
        return TakenError(
            f"{pending} is missing from {self._location}, and {name} is missing or has different"
            " content: they were deleted or changed."
        )

    async def _if_there(self, what: str, call: Awaitable[T], size: int = 0) -> T | None:
        """Await the call; return None if the object does not exist."""
        return await self._do(what, _none_if_absent(call), size)

    async def _each(self, what: str, pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """Yield the pieces of a response; each has its own time limit."""
        while (piece := await self._do(what, anext(pieces, None))) is not None:
            yield piece

    async def _do(self, what: str, call: Awaitable[T], size: int = 0) -> T:
        """Await the call. `what` is what it does, up to the location: "read x in"."""
        timeout_s = deadline_s(size, self._least_s)
        try:
            async with asyncio.timeout(timeout_s):
                return await call
        except TimeoutError:
            raise StoreError(
                f"Can't {what} {self._location}: no response for {timeout_s:.0f} s."
                " Check the network and the store."
            ) from None
        except (BaseError, OSError) as error:
            raise store_error(f"{what} {self._location}", failure_of(error)) from None


async def _is_created(put: Awaitable[object]) -> bool:
    try:
        await put
    except AlreadyExistsError:
        return False
    return True


async def _none_if_absent(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except FileNotFoundError as error:
        if not failure_of(error).is_absence:
            raise
        return None
