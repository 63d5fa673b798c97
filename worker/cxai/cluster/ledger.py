"""The ledger of a cluster: a batch becomes objects and one transaction of the engine.

1. The lines are compressed, and written as one object for each set, under unique names.
2. One transaction, **the commit point**: the verdicts, the objects with the next number, and the
   blocks of IDs that are finished with them.
3. The objects get their final names, and the database records that.

Until the transaction is durable nothing of the batch counts; from then on all of it does, and if
this worker is lost, another one publishes it (publishing.py). A transaction with an unknown result
is sent again; the names of its objects make it count once.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass

from cxai.cluster.books import Books
from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.holdings import Holdings, Key
from cxai.cluster.keys import item_key
from cxai.cluster.packing import Packed, pack
from cxai.cluster.publishing import Publishing
from cxai.cluster.store_errors import as_run_errors
from cxai.core.entry import Entry, Outcome
from cxai.core.ports import Admission, Clock, RowWriter
from cxai.objects.port import ObjectStore, StoreError
from cxai.output.compression import Compression
from cxai.policy.reply import Said
from cxai.policy.step import Settle
from cxai.policy.verdict import FailureStage, Verdict


@dataclass(slots=True, eq=False)
class _Attempt:
    """A commit under way, the objects still to be written, and why its last attempt failed."""

    keys: tuple[Key, ...]
    outcomes: Collection[Outcome]
    packed: Sequence[Packed]
    to_put: list[Packed]
    blocked_by: EngineDownError | StoreError | None = None


class ClusterLedger:
    """Adapter of ports.Ledger for one worker of a cluster, which has been registered.

    All entries of the source are fresh: duplicates were dropped when they were enqueued. `thread`
    compresses. A commit that has begun is awaited even if the caller is cancelled meanwhile.
    """

    def __init__(
        self,
        books: Books,
        store: ObjectStore,
        holdings: Holdings,
        publishing: Publishing,
        row_writer: RowWriter,
        clock: Clock,
        compression: Compression,
        thread: Executor,
    ) -> None:
        self._books = books
        self._store = store
        self._holdings = holdings
        self._publishing = publishing
        self._row_writer = row_writer
        self._clock = clock
        self._compression = compression
        self._thread = thread
        self._sequence = 0
        self._attempt: _Attempt | None = None
        self._turn = asyncio.Lock()

    async def left_over(self) -> AsyncGenerator[Admission, None]:
        return
        yield

    async def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` to retrieve: all but those that cost too many workers.

        Those have the verdict `poison` when it returns. Raises as `commit` does.
        """
        fresh: list[Entry] = []
        poisoned: list[Outcome] = []
        for entry in entries:
            lost = self._holdings.poisoned_after(entry)
            if lost is None:
                fresh.append(entry)
            else:
                poisoned.append(self._poisoned(entry, lost))
        await self.commit(poisoned)
        return Admission(fresh, 0, {Verdict.POISON: len(poisoned)} if poisoned else {})

    async def seal_old(self) -> float | None:
        """Do nothing: each commit is published immediately."""
        return None

    async def commit(self, outcomes: Collection[Outcome]) -> None:
        """Make all outcomes durable, with their lines, or none.

        Raises BlockedError: whether they count is unknown until the same call is repeated, and no
        other commit is made before; FencedError: none counts; IntegrityError: an object has another
        content than it should.
        """
        if outcomes:
            await _shielded(self._commit(outcomes))

    async def _commit(self, outcomes: Collection[Outcome]) -> None:
        entries = [outcome.entry for outcome in outcomes]
        async with self._turn:
            with as_run_errors():
                attempt = await self._attempt_at(outcomes)
                try:
                    number = await self._commit_attempt(attempt)
                except (EngineDownError, StoreError) as error:
                    attempt.blocked_by = error
                    raise
            self._attempt = None
            self._holdings.settle(entries)
        with as_run_errors():
            await self._publishing.publish_own(number, [one.written for one in attempt.packed])

    async def _attempt_at(self, outcomes: Collection[Outcome]) -> _Attempt:
        """Return the attempt at this commit: the one under way if it is repeated.

        There is only one at a time: which blocks a commit finishes depends on those before it.
        """
        keys = tuple(outcome.entry.key for outcome in outcomes)
        if self._attempt is None:
            self._attempt = await self._begin(keys, outcomes)
        elif self._attempt.keys != keys:
            raise self._attempt.blocked_by or RuntimeError("A commit was abandoned.")
        return self._attempt

    async def _begin(self, keys: tuple[Key, ...], outcomes: Collection[Outcome]) -> _Attempt:
        worker = self._books.worker
        if worker is None:
            raise RuntimeError("A worker has to be registered before it commits.")
        self._sequence += 1
        packed = await asyncio.get_running_loop().run_in_executor(
            self._thread, pack, outcomes, worker, self._sequence, self._compression
        )
        return _Attempt(keys, outcomes, packed, list(packed))

    async def _commit_attempt(self, attempt: _Attempt) -> int:
        """Write the objects and run the transaction; return the number of the objects."""
        while attempt.to_put:
            packed = attempt.to_put[-1]
            await self._store.put_new(packed.written.pending, packed.content)
            attempt.to_put.pop()
        return await self._books.commit(
            [(item_key(o.entry.key), o.verdict, o.requests) for o in attempt.outcomes],
            self._holdings.blocks_of(outcome.entry for outcome in attempt.outcomes),
            [packed.written for packed in attempt.packed],
        )

    def _poisoned(self, entry: Entry, lost: int) -> Outcome:
        why = f"{lost:,} workers in a row were lost while they had this ID"
        settle, now = Settle(Verdict.POISON, why, FailureStage.INPUT), self._clock.utc()
        lines = self._row_writer.failure(entry, settle, attempts=0, at=now, said=Said())
        return Outcome(entry, Verdict.POISON, 0, lines)


async def _shielded(work: Coroutine[None, None, None]) -> None:
    """Wait for `work`, however often the caller is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # cancelled again: raised below
                await asyncio.wait([task])
        with suppress(Exception):
            task.result()  # nothing waits for its failure any more
        raise
