"""Orphans: objects whose worker was killed between writing and committing them.

One is deleted when it is older than a day, is not in the commit log, and its worker is gone: the
database refuses all commits of such a worker.
"""

from datetime import timedelta

from cxai.cluster.books import Books
from cxai.cluster.names import worker_of
from cxai.objects.port import PENDING, ObjectStore

_AGE = timedelta(days=1)

_CLOCK = f"{PENDING}/0-clock"
"""Written to read the store's clock. It sorts before all others: workers count from 1."""


async def sweep_orphans(books: Books, store: ObjectStore) -> int:
    """Delete the orphans of an export that are a day old; return how many.

    Ages are on the store's own clock: a worker's may be wrong by hours. Raises StoreError and
    EngineDownError; it may be repeated.
    """
    await store.replace(_CLOCK, b"cxai\n")
    try:
        return await _sweep(books, store)
    finally:
        await store.delete(_CLOCK)


async def _sweep(books: Books, store: ObjectStore) -> int:
    swept = 0
    now = None
    async for listed in store.names(PENDING):
        if listed.name == _CLOCK:
            now = listed.written_at
        elif now is None:
            break  # another worker is sweeping, and has deleted the clock object
        elif listed.written_at < now - _AGE and await _is_orphan(listed.name, books):
            await store.delete(listed.name)
            swept += 1
    return swept


async def _is_orphan(name: str, books: Books) -> bool:
    """Whether an object does not count and never will."""
    worker = worker_of(name)
    if worker is None or not await books.is_gone(worker):
        return False
    return await books.committed(name) is None
