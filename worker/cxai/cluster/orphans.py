"""Orphans: objects whose worker was killed between writing and committing them.

They cost space and nothing else. One is deleted when it is older than a day, is not in the commit
log, and its worker is gone: the database refuses all commits of such a worker.
"""

from datetime import timedelta

from cxai.cluster.books import Books
from cxai.cluster.names import worker_of
from cxai.objects.port import PENDING, ObjectStore

_AGE = timedelta(days=1)

_CLOCK = f"{PENDING}/0-clock"
"""Written to read the store's clock. It sorts before all others: workers count from 1."""


class Orphans:
    """Finds and deletes the orphans of one export."""

    def __init__(self, books: Books, store: ObjectStore) -> None:
        self._books = books
        self._store = store

    async def sweep(self) -> int:
        """Delete the orphans that are a day old; return how many.

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
        now = None
        async for listed in self._store.names(PENDING):
            if listed.name == _CLOCK:
                now = listed.written_at
            elif now is None:
                break  # another worker is sweeping, and has deleted the clock object
            elif listed.written_at < now - _AGE and await self._is_orphan(listed.name):
                await self._store.delete(listed.name)
                swept += 1
        return swept

    async def _is_orphan(self, name: str) -> bool:
        """Whether an object does not count and never will."""
        worker = worker_of(name)
        if worker is None or not await self._books.is_gone(worker):
            return False
        return await self._books.committed(name) is None
