"""Local, in-memory and cluster ledgers behind one interface, and runs into them."""

import asyncio
import gzip
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

from support.cluster import Worker
from support.doubles import Disk, MemoryLedger, entries
from support.memory_books import Engine, MemoryBooks
from support.memory_objects import MemoryObjects
from support.store import opened

from cxai.core.entry import Outcome
from cxai.ledger.local import LocalLedger
from cxai.policy.verdict import Verdict


class LocalDisk:
    """An output directory, and the ledgers of successive runs into it."""

    def __init__(self, path):
        self._path = path

    @contextmanager
    def ledger(self, *, reopen=(), is_queue=False):
        with (
            ThreadPoolExecutor(1) as self._thread,
            opened(self._path, reopen=reopen, is_queue=is_queue) as self.store,
        ):
            yield LocalLedger(self.store, self._thread)

    @contextmanager
    def slow(self, _ledger):
        """Block all work on the disk until `resume` is called."""
        resume = threading.Event()
        self._thread.submit(resume.wait)
        try:
            yield resume.set
        finally:
            resume.set()

    def record_elsewhere(self, interaction_id):
        with closing(sqlite3.connect(self._path / "ledger.sqlite")) as ledger, ledger:
            ledger.execute("INSERT INTO outcome VALUES (?, 'ok', 1, 1, 1)", (interaction_id,))

    def lines(self):
        """Return all lines, as the next run finds them."""
        with self.ledger():
            parts = sorted(self._path.glob("*.jsonl.open"))
        return sorted(line for part in parts for line in part.read_bytes().splitlines())


class MemoryDisk:
    """The same in memory, with the double of the ledger."""

    def __init__(self):
        self._disk = Disk()

    @contextmanager
    def ledger(self, *, reopen=(), is_queue=False):
        yield MemoryLedger(self._disk, reopen=reopen, is_queue=is_queue)

    @contextmanager
    def slow(self, ledger):
        ledger.gate.clear()
        yield ledger.gate.set

    def record_elsewhere(self, interaction_id):
        self._disk.verdicts[interaction_id] = Verdict.OK

    def lines(self):
        return sorted(line for part in self._disk.lines.values() for line in part.splitlines())


class Cluster:
    """The same for the workers of a cluster, which claim what was fed before."""

    def __init__(self):
        self._engine = Engine()
        self._store = MemoryObjects()

    @contextmanager
    def ledger(self):
        worker = Worker(MemoryBooks(self._engine), self._store)
        admit = worker.ledger.admit

        async def feed_and_admit(block):
            await worker.books.register("a worker")
            self._engine.feed(block)
            for claimed in await worker.books.claim(len(block)):
                worker.holdings.take(claimed)
            return await admit(block)

        worker.ledger.admit = feed_and_admit
        yield worker.ledger

    @contextmanager
    def slow(self, _ledger):
        self._store.gates["put_new"] = resume = asyncio.Event()
        yield resume.set

    def lines(self):
        return sorted(
            line
            for name, (content, _) in self._store.objects.items()
            for line in gzip.decompress(content).splitlines()
            if not name.startswith("_pending/")
        )


def outcome(entry, verdict=Verdict.OK):
    """Return an outcome with one line of text."""
    part_set = "records" if verdict is Verdict.OK else "failures"
    return Outcome(entry, verdict, 1, {part_set: f"{entry.id} {verdict}\n".encode()})


async def settle(disk, verdicts, *, reopen=()):
    """Commit verdicts, by ID, in a run of their own."""
    with disk.ledger(reopen=reopen) as ledger:
        admission = await ledger.admit(entries(*verdicts))
        await ledger.commit([outcome(entry, verdicts[entry.id]) for entry in admission.fresh])


async def left_over(ledger):
    """Return all entries that earlier runs left in the inbox."""
    return [entry async for admission in ledger.left_over() for entry in admission.fresh]
