"""Commits on a real PostgreSQL and a real volume: what the doubles promise is what happens."""

import asyncio
import os
from functools import partial

import pytest
from support.books import FORM as FORM_OF_ROWS
from support.books import TERMS, entries_of
from support.cluster import FORM, Worker, ids_seen, lines_of, names_of, outcome
from support.doubles import ListSource
from support.faulty import Killed
from support.moto_server import ANY_CREDENTIALS
from support.waiting import wait_until

from cxai.cluster.destination import refuse_restored
from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.manifest import Manifest
from cxai.cluster.orphans import sweep_orphans
from cxai.cluster.schema import init
from cxai.cluster.url import parse_engine_url
from cxai.cluster.verify import verify_cluster
from cxai.errors import BlockedError, ExitCode, FencedError, IntegrityError
from cxai.objects.registry import open_store
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict

STORED_FORM = {"resource": "cx_ai", "shape": "nested", "compression": "gzip"}
DOWN = EngineDownError("db/cxai", "connection reset")


@pytest.fixture
async def store(tmp_path):
    store = open_store(str(tmp_path / "objects"))
    await store.prepare()
    yield store
    await store.close()


@pytest.fixture
def bucket_store(moto, bucket, monkeypatch):
    for name, value in {**ANY_CREDENTIALS, "AWS_ENDPOINT_URL": moto}.items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://{bucket}/nightly")


@pytest.fixture
def start(url, open_books, store):
    """Return what starts a registered worker."""

    async def worker():
        return Worker(await open_books(url), store)

    return worker


@pytest.fixture
def declare_gone(database):
    """Return what lets another worker find one dead that was silent for long."""

    async def declare(worker, by):
        database.execute(
            "UPDATE cxai.worker SET seen = seen - interval '1 hour' WHERE id = %s",
            (worker.books.worker,),
        )
        assert await by.books.beat("at work", may_reap=True) == 1

    return declare


async def feed(worker, ids):
    await worker.books.enqueue(entries_of(ids))
    await worker.books.finish_feeding()


async def work_off(worker, batch=33):
    """Claim and commit, in batches that are no blocks, until the source ends."""
    async for block in worker.source.batches():
        for start in range(0, len(block), batch):
            entries = block[start : start + batch]
            verdicts = [Verdict.OK if n % 3 else Verdict.NOT_FOUND for n in range(len(entries))]
            await commit(worker, list(map(outcome, entries, verdicts)))


async def commit(worker, outcomes):
    """Commit as a run does: again, while the engine or the store can't be used."""
    while True:
        try:
            await worker.ledger.commit(outcomes)
        except BlockedError:
            await asyncio.sleep(0.05)
        else:
            return


async def write_manifest(worker):
    await Manifest(worker.books, worker.store, STORED_FORM, FORM.sets, Compression.GZIP).write()


async def assert_exact(worker, ids):
    """Check that each ID has one verdict and one line, and that all of it is intact."""
    await write_manifest(worker)
    records, failures = await ids_seen(worker.store), await lines_of(worker.store, "failures")
    assert sorted([*records.elements(), *(row["interaction_id"] for row in failures)]) == sorted(
        ids
    )
    findings = await verify_cluster(worker.books, worker.store, FORM, ListSource([entries_of(ids)]))
    assert findings.exit_code is ExitCode.FINISHED, findings.text()
    counts = await worker.books.counts()
    assert (counts.ids, counts.open, counts.unpublished) == (len(ids), 0, 0)


async def assert_that_workers_share(url, open_books, store, ids):
    workers = [Worker(await open_books(url), store) for _ in range(3)]
    await feed(workers[0], ids + ids[:50])
    async with asyncio.timeout(30):
        await asyncio.gather(*map(work_off, workers))
    await assert_exact(workers[0], ids)


async def test_workers_share_an_input_and_it_comes_out_exactly_once(url, open_books, store, guids):
    await assert_that_workers_share(url, open_books, store, guids(500))


async def test_workers_share_an_input_and_write_to_a_bucket(url, open_books, bucket_store, guids):
    await assert_that_workers_share(url, open_books, bucket_store, guids(500))


@pytest.mark.promise(
    "A worker dies before, between or after the steps of a commit",
    "another one finishes it, or requests the IDs again: exact",
    group="Cluster",
)
@pytest.mark.parametrize(
    ("where", "step"),
    [
        ("store", ("put_new", "before")),
        ("store", ("put_new", "after")),
        ("books", ("commit", "after")),
        ("store", ("publish", "after")),
        ("books", ("mark_published", "after")),
    ],
)
async def test_whichever_step_a_worker_dies_at_another_one_finishes_exactly(
    start, declare_gone, guids, where, step
):
    ids = guids(120)
    dying, other = await start(), await start()
    await feed(other, ids)

    def die(name, when):
        if (name, when) == step:
            raise Killed

    getattr(dying, where).at = die
    with pytest.raises(Killed):
        await work_off(dying)
    await declare_gone(dying, other)
    assert await other.publishing.repair() in {0, 1, 2}
    async with asyncio.timeout(30):
        await work_off(other)
    await assert_exact(other, ids)


@pytest.mark.promise(
    "PostgreSQL is killed and restarted repeatedly",
    "workers wait, and continue when it is back",
    group="Cluster",
)
async def test_a_database_that_is_killed_repeatedly_costs_only_time(
    own_postgres, open_books, store, guids
):
    ids = guids(300)
    url = parse_engine_url(own_postgres.new_database().url())
    await init(url, FORM_OF_ROWS, TERMS)
    workers = [Worker(await open_books(url), store) for _ in range(2)]
    await feed(workers[0], ids)
    working = [asyncio.create_task(work_off(worker, batch=10)) for worker in workers]
    for many in (5, 15):
        await wait_until(lambda n=many: sum(w.books.calls.count("commit") for w in workers) > n)
        await asyncio.to_thread(own_postgres.restart)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        repairing = [group.create_task(worker.publishing.keep_repairing()) for worker in workers]
        await asyncio.gather(*working)
        for task in repairing:
            task.cancel()
    await assert_exact(workers[0], ids)


async def test_a_commit_with_an_unknown_result_counts_once(start, guids):
    ids = guids(60)
    worker = await start()
    await feed(worker, ids)
    done = [outcome(entry) for entry in await worker.take(2)]
    worker.books.fail("commit", DOWN, DOWN, after=True)
    for _ in range(2):
        with pytest.raises(BlockedError, match="connection reset"):
            await worker.ledger.commit(done)
    await worker.ledger.commit(done)
    await assert_exact(worker, ids)
    assert await worker.books.last_object() == 1


async def test_a_worker_that_was_declared_gone_commits_and_claims_nothing(
    start, declare_gone, guids
):
    ids = guids(60)
    zombie, other = await start(), await start()
    await feed(other, ids)
    done = [outcome(entry) for entry in await zombie.take()]
    await declare_gone(zombie, other)
    with pytest.raises(FencedError):
        await zombie.ledger.commit(done)
    with pytest.raises(FencedError):
        await work_off(zombie)
    async with asyncio.timeout(30):
        await work_off(other)
    await assert_exact(other, ids)


async def test_leaving_returns_ids_without_a_verdict(start, guids):
    ids = guids(60)
    worker, other = await start(), await start()
    await feed(other, ids)
    async with worker.source:
        first, *_ = await worker.take()
        await worker.ledger.commit([outcome(first)])
    async with asyncio.timeout(30):
        await work_off(other)
    await assert_exact(other, ids)


@pytest.mark.promise(
    "An ID kills each worker that claims it",
    "it is alone in its block, and then `poison`; no other ID is affected",
    group="Cluster",
)
async def test_an_id_that_kills_worker_after_worker_becomes_poison(start, database, guids):
    ids = guids(2)
    worker = await start()
    await feed(worker, ids)
    database.execute(
        "UPDATE cxai_nightly.block SET losses = 10, keys = keys[1:1], lines = lines[1:1]"
    )
    assert await worker.take() == []
    (row,) = await lines_of(worker.store, "failures")
    assert (row["interaction_id"], row["verdict"]) == (ids[0], "poison")
    assert (await worker.books.counts()).verdicts == {Verdict.POISON: 1}


async def test_an_id_that_is_retried_has_both_lines_and_its_last_verdict(start, guids):
    (one,) = guids(1)
    worker = await start()
    await feed(worker, [one])
    await worker.ledger.commit([outcome(e, Verdict.EXHAUSTED) for e in await worker.take()])
    assert await worker.books.retry([Verdict.EXHAUSTED]) == 1
    findings = await verify_cluster(worker.books, worker.store, FORM)
    assert (findings.problems, findings.exit_code) == ([], ExitCode.STOPPED)
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    await write_manifest(worker)
    findings = await verify_cluster(worker.books, worker.store, FORM)
    assert (findings.problems, findings.unfinished) == ([], [])
    assert (await ids_seen(worker.store), len(await lines_of(worker.store, "failures"))) == (
        {one: 1},
        1,
    )


@pytest.mark.promise(
    "A killed worker left objects that it had not committed",
    "they are deleted when they are a day old; no loader ever sees them",
    group="Cluster",
)
async def test_only_orphans_are_deleted(start, database, guids, store, tmp_path):
    dying, other = await start(), await start()
    await feed(other, guids(10))

    def die(name, when):
        if (name, when) == ("commit", "before"):
            raise Killed

    dying.books.at = die
    with pytest.raises(Killed):
        await work_off(dying)
    pending = await names_of(store, "_pending")
    assert len(pending) == 2
    for name in pending:
        os.utime(tmp_path / "objects" / name, (0, 0))
    sweep = partial(sweep_orphans, other.books, other.store)
    assert await sweep() == 0
    database.execute(
        "UPDATE cxai.worker SET gone = true, seen = '2000-01-01' WHERE id = %s",
        (dying.books.worker,),
    )
    assert await sweep() == 2
    assert await names_of(store, "_pending") == []


@pytest.mark.promise(
    "The database is restored to an earlier point than the objects",
    "workers refuse to start: code 5, naming an object",
    group="Cluster",
)
async def test_a_database_restored_to_an_earlier_point_is_refused(start, database, guids):
    worker = await start()
    await feed(worker, guids(60))
    await work_off(worker)
    await refuse_restored(worker.books, worker.store, FORM.sets, Compression.GZIP)
    database.execute("UPDATE cxai_nightly.export SET last_object = last_object - 1")
    with pytest.raises(IntegrityError, match=r"restored to an earlier point"):
        await refuse_restored(worker.books, worker.store, FORM.sets, Compression.GZIP)
