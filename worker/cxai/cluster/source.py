"""The source of a cluster worker: blocks of IDs, each claimed by one worker at a time."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Self

from cxai.cluster.books import Books
from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.holdings import Holdings
from cxai.cluster.rows import Queue
from cxai.core.entry import Entry, IgnoredLine
from cxai.errors import FencedError

_MOST_BLOCKS = 4
"""Blocks claimed at a time: enough requests for a round trip, and few enough that the workers
share the end of an input."""

_LOOK_S = 0.05  # seconds between two checks whether the worker can use more IDs
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 2.0


class ClusterSource:
    """Adapter of ports.Source: claims blocks whenever the worker can use more IDs.

    `need` returns how many IDs the worker can take now; nothing is claimed while that is 0 or less.
    It ends when the export is settled, and only with `until_settled`. `on_drained` is called
    repeatedly while the input is complete and nothing is left to claim, so that what is waiting for
    a commit is committed.

    It waits for a database that can't be reached. Blocks of a lost answer come with the next one.
    Leaving the source returns IDs without a verdict to the queue.
    """

    is_queue = False  # the IDs are in the database already: the ledger needs no inbox

    def __init__(
        self,
        books: Books,
        holdings: Holdings,
        need: Callable[[], int],
        *,
        until_settled: bool,
        on_drained: Callable[[], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._books = books
        self._holdings = holdings
        self._need = need
        self._until_settled = until_settled
        self._on_drained = on_drained
        self._draw = draw
        self.waits_for = "the first IDs"

    async def batches(self) -> AsyncGenerator[Sequence[Entry | IgnoredLine], None]:
        wait_s = _FIRST_WAIT_S
        while True:
            while self._need() <= 0:  # noqa: ASYNC110 - a backlog has no event for that
                await asyncio.sleep(_LOOK_S)
            try:
                claimed = await self._books.claim(_MOST_BLOCKS)
                if not claimed and await self._is_over():
                    return
            except EngineDownError:  # the heartbeat shows the reason
                claimed = ()
            for block in claimed:
                self._holdings.take(block)
            if claimed:
                wait_s, self.waits_for = _FIRST_WAIT_S, ""
                yield [entry for block in claimed for entry in block.entries]
            else:
                await asyncio.sleep(wait_s * (0.5 + self._draw()))
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Do nothing: a commit acknowledges its IDs."""

    async def _is_over(self) -> bool:
        queue = await self._books.queue()
        self.waits_for = _missing(queue)
        if queue.fed:
            self._on_drained()
        return self._until_settled and queue.is_settled

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        # Otherwise others free the blocks once this worker is declared gone.
        with suppress(EngineDownError, FencedError):
            await self._books.leave()


def _missing(queue: Queue) -> str:
    if queue.has_blocks:
        return "IDs: other workers have all open ones"
    if queue.has_unpublished:
        return "other workers to publish their objects"
    return "more IDs; `cxai enqueue --last` marks the input as complete"
