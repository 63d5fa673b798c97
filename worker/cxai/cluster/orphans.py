"""Orphans: objects that were put and never counted, since their worker was killed before it did.

They cost room and nothing else. One is deleted when it is older than a day, the log does not have
it, and its worker is gone: then nothing can make it count any more, since the engine refuses
whatever such a worker tries.
"""

from datetime import timedelta

from cxai.cluster.books import Books
from cxai.cluster.names import worker_of
from cxai.objects.port import PENDING, Listed, ObjectStore

_AGE = timedelta(days=1)

_CLOCK = f"{PENDING}/0-clock"
"""Is written to see the store's time. It sorts before all others: workers count from 1."""


class Orphans:
    """Finds and deletes the orphans of one export."""

    def __init__(self, books: Books, store: ObjectStore) -> None:
        self._books = books
        self._store = store

    async def sweep(self) -> int:
        """Delete what nothing can make count any more; return how many objects that were.

        Ages are on the store's own clock: a worker's may be wrong by hours. Raises StoreError and
        EngineDownError; it may be repeated.
        """
        await self._store.replace(_CLOCK, b"cxai\n")
        try:
            return await self._sweep()
        finally:
            await self._store.delete(_CLOCK)

    async def _sweep(self) -> int:
        swept = 0
        now = gone = None
        async for listed in self._store.names(PENDING):
            if listed.name == _CLOCK:
                now = listed.written_at
            elif now is None:
                break  # another worker sweeps, and has deleted what tells the time
            elif listed.written_at < now - _AGE:
                if gone is None:
                    gone = {worker.id for worker in await self._books.workers() if worker.gone}
                swept += await self._delete_if_orphan(listed, gone)
        return swept

    async def _delete_if_orphan(self, listed: Listed, gone: set[int]) -> bool:
        """Delete an old object, unless it counts or could still come to count."""
        if worker_of(listed.name) not in gone:
            return False
        if await self._books.committed(listed.name) is not None:
            return False
        await self._store.delete(listed.name)
        return True
