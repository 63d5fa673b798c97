"""The ledger of one machine, as the event loop sees it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from cxai.core.entry import Entry, Outcome
from cxai.core.ports import Admission
from cxai.ledger.committer import Committer

T = TypeVar("T")


class LocalLedger:
    """Adapter of ports.Ledger: runs the committer on a thread of its own.

    Not on asyncio's default executor, which DNS look-ups share: the event loop never waits for a
    disk, nor the disk for a name server. A commit that has begun is awaited to its end, even if the
    caller is cancelled.
    """

    def __init__(self, committer: Committer, thread: ThreadPoolExecutor) -> None:
        self._committer = committer
        self._thread = thread

    async def left_over(self) -> AsyncGenerator[Admission, None]:
        while (admission := await self._on_thread(self._committer.left_over)).fresh:
            yield admission

    async def admit(self, entries: Sequence[Entry]) -> Admission:
        return await self._on_thread(lambda: self._committer.admit(entries))

    async def commit(self, outcomes: Collection[Outcome]) -> None:
        await self._on_thread(lambda: self._committer.commit(outcomes))

    async def seal_old(self) -> float | None:
        return await self._on_thread(self._committer.seal_old)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                with suppress(asyncio.CancelledError):  # cancelled again: raised below
                    await asyncio.wait([future])
            raise
