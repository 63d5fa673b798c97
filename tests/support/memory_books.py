"""Books in memory: the engine that workers share, and what each of them sees of it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.keys import item_key
from cxai.cluster.rows import Claimed, Counts, ObjectRow, Queue, Recount, WorkerRow
from cxai.errors import FencedError, IntegrityError
from cxai.policy.verdict import Verdict

_AT = datetime(2026, 11, 27, 3, tzinfo=UTC)


@dataclass
class _Block:
    entries: list
    owner: int | None = None
    losses: int = 0


@dataclass
class Engine:
    """What outlives the workers, as a database does."""

    items: dict = field(default_factory=dict)  # key -> (object, verdict)
    blocks: dict = field(default_factory=dict)
    objects: dict = field(default_factory=dict)  # (number, set) -> ObjectRow
    workers: dict = field(default_factory=dict)
    last_object: int = 0
    lines: int = 0
    duplicates: int = 0
    fed: bool = False
    _numbers: count = field(default_factory=lambda: count(1))

    def feed(self, entries, *, fed=True, block_of=50):
        """Queue what is new of `entries`, in blocks."""
        fresh = []
        for entry in entries:
            self.lines += 1
            if item_key(entry.key) in self.items:
                self.duplicates += 1
            else:
                self.items[item_key(entry.key)] = None, None
                fresh.append(entry)
        for start in range(0, len(fresh), block_of):
            self.blocks[next(self._numbers)] = _Block(fresh[start : start + block_of])
        self.fed = fed

    def queue_again(self, entry):
        """Open an ID again that has a verdict, as feeding or retrying it does."""
        number, _ = self.items[item_key(entry.key)]
        self.items[item_key(entry.key)] = number, None
        self.blocks[next(self._numbers)] = _Block([entry])

    def declare_gone(self, worker):
        """Free what a worker holds; nothing that it tries counts any more."""
        self.workers[worker] = replace(self.workers[worker], gone=True)
        for block in self.blocks.values():
            if block.owner == worker:
                block.owner, block.losses = None, block.losses + 1


class MemoryBooks:
    """One worker's view of an Engine."""

    def __init__(self, engine):
        self.engine = engine
        self.worker = None
        self._lost_answers = 0
        self._held = set()

    def lose_answers(self, times):
        """Let the connection break after the next claims have taken effect."""
        self._lost_answers = times

    async def register(self, name):
        await asyncio.sleep(0)
        self.worker = len(self.engine.workers) + 1
        self.engine.workers[self.worker] = WorkerRow(
            self.worker, name, _AT, silent_s=0.0, gone=False, state="", blocks=0
        )
        return self.worker

    async def claim(self, blocks):
        await asyncio.sleep(0)
        self._require_not_gone()
        every = self.engine.blocks.items()
        mine = [n for n, it in every if it.owner == self.worker and n not in self._held]
        free = [n for n, it in every if it.owner is None][: max(0, blocks - len(mine))]
        for number in free:
            self.engine.blocks[number].owner = self.worker
        if self._lost_answers:
            self._lost_answers -= 1
            raise EngineDownError("db/cxai", "connection reset")
        self._held.update(mine + free)
        return [self._claimed(number) for number in mine + free]

    def _claimed(self, number):
        block = self.engine.blocks[number]
        open_entries = [e for e in block.entries if self.engine.items[item_key(e.key)][1] is None]
        return Claimed(number, block.losses, open_entries)

    async def commit(self, outcomes, blocks, written):
        await asyncio.sleep(0)
        engine = self.engine
        if (number := await self.committed(written[0].pending)) is not None:
            return number
        if any(self._owner(block) != self.worker for block in blocks):
            raise FencedError("Others took this worker for dead, and its IDs.")
        if any(engine.items[key][1] is not None for key, _, _ in outcomes):
            raise IntegrityError("An ID has a verdict already.")
        engine.last_object = number = engine.last_object + 1
        for one in written:
            engine.objects[number, one.set] = ObjectRow(
                number,
                one.set,
                one.pending,
                one.records,
                one.size,
                one.sha256,
                worker=self.worker,
                published=False,
                committed_at=_AT,
            )
        for key, verdict, _ in outcomes:
            engine.items[key] = number, verdict
        for block, is_finished in blocks.items():
            if is_finished:
                del engine.blocks[block]
        return number

    async def committed(self, pending):
        await asyncio.sleep(0)
        numbers = (row.number for row in self.engine.objects.values() if row.pending == pending)
        return next(numbers, None)

    async def mark_published(self, number, part_set):
        await asyncio.sleep(0)
        row = self.engine.objects[number, part_set]
        self.engine.objects[number, part_set] = replace(row, published=True)

    async def unpublished_by_the_gone(self):
        await asyncio.sleep(0)
        return [
            (row.number, row.set, row.pending, row.sha256)
            for row in self.engine.objects.values()
            if not row.published and self.engine.workers[row.worker].gone
        ]

    async def objects(self, after, most):
        await asyncio.sleep(0)
        rows = sorted(self.engine.objects.items())
        return [row for (number, _), row in rows if after < number <= after + most]

    async def leave(self):
        for block in self.engine.blocks.values():
            if block.owner == self.worker:
                block.owner = None
        self.engine.declare_gone(self.worker)

    async def queue(self):
        await asyncio.sleep(0)
        unpublished = any(not row.published for row in self.engine.objects.values())
        return Queue(self.engine.fed, bool(self.engine.blocks), unpublished)

    async def last_object(self):
        await asyncio.sleep(0)
        return self.engine.last_object

    async def verdicts(self, keys):
        await asyncio.sleep(0)
        items = self.engine.items
        return {key: items[key] for key in keys if key in items}

    async def is_gone(self, worker):
        await asyncio.sleep(0)
        return worker in self.engine.workers and self.engine.workers[worker].gone

    async def counts(self):
        await asyncio.sleep(0)
        engine = self.engine
        verdicts = Counter(verdict for _, verdict in engine.items.values() if verdict)
        leased = sum(block.owner is not None for block in engine.blocks.values())
        return Counts(
            lines=engine.lines,
            duplicates=engine.duplicates,
            verdicts={verdict: verdicts[verdict] for verdict in Verdict if verdicts[verdict]},
            queued=len(engine.blocks) - leased,
            leased=leased,
            fed=engine.fed,
            last_object=engine.last_object,
            unpublished=sum(not row.published for row in engine.objects.values()),
        )

    async def recount(self):
        counts = await self.counts()
        waiting = (await self.verdicts([*self.engine.items])).values()
        in_blocks = sum(verdict is None for _, verdict in waiting)
        return Recount(len(self.engine.items), counts.verdicts, in_blocks)

    def _owner(self, block):
        return self.engine.blocks[block].owner if block in self.engine.blocks else None

    def _require_not_gone(self):
        if self.engine.workers[self.worker].gone:
            raise FencedError("Others took this worker for dead, and its IDs.")
