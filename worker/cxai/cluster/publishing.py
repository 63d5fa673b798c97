"""Publishing: each committed object gets its final name, by which loaders see it.

Any worker may repeat both steps (the final name, the record of it), also at the same time.
"""

import asyncio
import random
from collections.abc import Callable, Collection

from cxai.cluster.books import Books
from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.names import final_name
from cxai.cluster.orphans import sweep_orphans
from cxai.cluster.rows import Written
from cxai.cluster.store_errors import as_run_errors
from cxai.errors import BlockedError, CxaiError, FencedError
from cxai.objects.port import ObjectStore, StoreError
from cxai.output.compression import Compression

_REPAIR_S = 2.0
_SWEEP_S = 3600.0


class Publishing:
    """Publishes objects of one export: those of this worker, and those of workers that are gone.

    `cause` is why the last attempt failed, empty if it didn't; `blocked_place` is what can't be
    used then, the store or the database.
    """

    def __init__(self, books: Books, store: ObjectStore, compression: Compression) -> None:
        self._books = books
        self._store = store
        self._compression = compression
        self._late: dict[tuple[int, str], tuple[str, bytes]] = {}
        self.cause = ""
        self.blocked_place = ""

    async def publish_own(self, number: int, written: Collection[Written]) -> None:
        """Publish what this worker has just committed; what fails is left to `repair`.

        Raises TakenError if another object has that name: a contradiction.
        """
        for one in written:
            self._late[number, one.set] = one.pending, one.sha256
        for one in written:
            try:
                await self._publish(number, one.set, one.pending, one.sha256)
            except (StoreError, EngineDownError, FencedError) as error:
                self._note(error)
                return

    async def repair(self) -> int:
        """Publish what failed before, and the objects of workers that are gone; return how many.

        Raises StoreError, EngineDownError, and TakenError as `publish_own`.
        """
        late = [(*where, *what) for where, what in self._late.items()]
        left = [*late, *await self._books.unpublished_by_the_gone()]
        for number, part_set, pending, sha256 in left:
            await self._publish(number, part_set, pending, sha256)
        return len(left)

    async def keep_repairing(self, draw: Callable[[], float] = random.random) -> None:
        """Repair every few seconds and delete orphans every hour, until cancelled.

        Failures that pass are retried. Raises IntegrityError and FencedError.
        """
        loop = asyncio.get_running_loop()
        next_sweep_s = loop.time()
        while True:
            try:
                with as_run_errors():
                    await self.repair()
                    if loop.time() >= next_sweep_s:
                        next_sweep_s = loop.time() + _SWEEP_S
                        await sweep_orphans(self._books, self._store)
                self.cause = ""
            except BlockedError as error:
                self._note(error)
            await asyncio.sleep(_REPAIR_S * (0.5 + draw()))

    def _note(self, error: CxaiError) -> None:
        if isinstance(error, BlockedError) and error.place:
            self.cause, self.blocked_place = error.cause, error.place
        else:
            self.cause = str(error).removesuffix(".")
            self.blocked_place = self._store.location

    async def _publish(self, number: int, part_set: str, pending: str, sha256: bytes) -> None:
        name = final_name(number, part_set, self._compression)
        await self._store.publish(pending, name, sha256)
        await self._books.mark_published(number, part_set)
        self._late.pop((number, part_set), None)
