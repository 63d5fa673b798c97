"""Workers of a cluster, as far as they claim, commit and publish: on doubles, or on real things."""

import gzip
from collections import Counter
from concurrent.futures import Executor, Future

import orjson
from support.faulty import Faulty
from support.memory_books import MemoryBooks

from cxai.clock import SystemClock
from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.holdings import Holdings
from cxai.cluster.ledger import ClusterLedger
from cxai.cluster.publishing import Publishing
from cxai.cluster.source import ClusterSource
from cxai.core.entry import Outcome
from cxai.ledger.form import ExportForm
from cxai.objects.port import StoreError
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict
from cxai.resources.cx_ai.layout import LAYOUT
from cxai.resources.failures import FailureRows
from cxai.resources.options import Shape

FORM = ExportForm(LAYOUT, Shape.NESTED, Compression.GZIP, "https://api.elevateai.com")
DOWN = EngineDownError("db/cxai", "connection refused")
FAILS = StoreError("s3://bucket/nightly can't be written: 503 SlowDown.")
RUN_ID = "3f0c2b6e-7a51-4f0e-9f63-1d3c6a9b2e44"


class AtOnce(Executor):
    """Does everything at once, as virtual time needs it."""

    def submit(self, work, /, *args):
        done = Future()
        done.set_result(work(*args))
        return done


def outcome(entry, verdict=Verdict.OK):
    """Return an outcome with a line like those of a run, but short."""
    row = {
        "interaction_id": entry.id,
        "schema_version": LAYOUT.schema_version,
        "retrieved_at": "2026-11-27T03:00:00.000Z",
        "run_id": RUN_ID,
    }
    if verdict is Verdict.OK:
        return Outcome(entry, verdict, 1, {"records": orjson.dumps(row) + b"\n"})
    row["verdict"] = verdict
    return Outcome(entry, verdict, 1, {"failures": orjson.dumps(row) + b"\n"})


class Worker:
    """One worker; `books` and `store` are Faulty ones. To be registered before it works."""

    def __init__(self, books, store, *, need=lambda: 1, until_settled=True):
        self.books, self.store = Faulty(books), Faulty(store)
        self.holdings = Holdings()
        self.drained = 0
        self.publishing = Publishing(self.books, self.store, Compression.GZIP)
        self.ledger = ClusterLedger(
            self.books,
            self.store,
            self.holdings,
            self.publishing,
            FailureRows(LAYOUT.schema_version, RUN_ID),
            SystemClock(),
            Compression.GZIP,
            AtOnce(),
        )
        self.source = ClusterSource(
            self.books,
            self.holdings,
            need,
            until_settled=until_settled,
            on_drained=self._note_drained,
            draw=lambda: 0.0,
        )

    def _note_drained(self):
        self.drained += 1

    async def take(self, blocks=1):
        """Claim, and return what is to be done of it."""
        claimed = await self.books.claim(blocks)
        for block in claimed:
            self.holdings.take(block)
        entries = [entry for block in claimed for entry in block.entries]
        return (await self.ledger.admit(entries)).fresh


async def memory_worker(engine, store, name="w", **how):
    """Return a registered worker on doubles."""
    worker = Worker(MemoryBooks(engine), store, **how)
    await worker.books.register(name)
    return worker


async def lines_of(store, part_set):
    """Return the rows of all published objects of a set."""
    rows = []
    async for listed in store.names(part_set):
        content = b"".join([chunk async for chunk in store.read(listed.name)])
        rows += map(orjson.loads, gzip.decompress(content).splitlines())
    return rows


async def ids_seen(store):
    """Return how often each ID stands in published records."""
    return Counter(row["interaction_id"] for row in await lines_of(store, "records"))


async def names_of(store, prefix):
    return [listed.name async for listed in store.names(prefix)]
