"""Publishing for the gone, orphans, and a database that was restored to an earlier point."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest
from support.cluster import DOWN, FAILS, ids_seen, names_of, outcome
from support.doubles import entries
from support.faulty import Killed
from support.virtual import virtually

from cxai.cluster.destination import refuse_restored
from cxai.cluster.orphans import sweep_orphans
from cxai.errors import IntegrityError
from cxai.objects.port import TakenError
from cxai.output.compression import Compression

SETS = ("records", "failures")


def age(store, by):
    """Let everything there be older: for the store's clock, that time has passed."""
    store.objects.update(
        {name: (data, written_at - by) for name, (data, written_at) in store.objects.items()}
    )


async def commit_all(worker, blocks=1):
    await worker.ledger.commit([outcome(entry) for entry in await worker.take(blocks)])


async def die_before_publishing(worker, engine):
    """Commit, and be killed at the commit point."""

    def die(name, _when):
        if name == "publish":
            raise Killed

    worker.store.at = die
    with pytest.raises(Killed):
        await commit_all(worker)
    engine.declare_gone(worker.books.worker)


async def leave_orphan(worker, engine):
    """Put an object, and be killed before it counts."""

    def die(name, _when):
        if name == "commit":
            raise Killed

    worker.books.at = die
    with pytest.raises(Killed):
        await commit_all(worker)
    engine.declare_gone(worker.books.worker)


# --- for those that are gone ---


async def test_objects_of_workers_that_are_gone_are_published_by_any_worker(engine, store, start):
    engine.feed(entries("a"))
    dying, other = await start("dying"), await start("other")
    await die_before_publishing(dying, engine)
    assert await ids_seen(store) == {}
    assert await other.publishing.repair() == 1
    assert await ids_seen(store) == {"a": 1}
    assert await other.publishing.repair() == 0


async def test_two_workers_that_repair_at_the_same_time_do_no_harm(engine, store, start):
    engine.feed(entries("a"))
    dying, *others = [await start(name) for name in ("dying", "one", "two", "three")]
    await die_before_publishing(dying, engine)
    await asyncio.gather(*(other.publishing.repair() for other in others))
    assert await ids_seen(store) == {"a": 1}
    assert await names_of(store, "_pending") == []


async def test_objects_of_running_workers_are_not_published_by_others(engine, store, start):
    engine.feed(entries("a"))
    slow, other = await start("slow"), await start("other")
    slow.store.fail("publish", FAILS)
    await commit_all(slow)
    assert await other.publishing.repair() == 0
    assert await ids_seen(store) == {}


async def test_a_missing_object_of_the_log_is_a_contradiction(engine, store, start):
    engine.feed(entries("a"))
    dying, other = await start("dying"), await start("other")
    await die_before_publishing(dying, engine)
    store.objects.clear()
    with pytest.raises(TakenError):
        await other.publishing.repair()
    with pytest.raises(IntegrityError):
        await other.publishing.keep_repairing()


@virtually
async def test_repairing_continues_through_failures_and_names_their_cause(engine, store, start):
    engine.feed(entries("a"))
    dying, other = await start("dying"), await start("other")
    await die_before_publishing(dying, engine)
    other.books.fail("unpublished_by_the_gone", *[DOWN] * 20)
    other.store.fail("publish", *[FAILS] * 20)
    repairing = asyncio.create_task(other.publishing.keep_repairing(lambda: 0.5))
    await asyncio.sleep(10)
    assert other.publishing.cause == DOWN.cause
    assert other.publishing.blocked_place == "the database db/cxai"
    await asyncio.sleep(50)
    assert other.publishing.cause == str(FAILS).removesuffix(".")
    assert other.publishing.blocked_place == store.location
    await asyncio.sleep(50)
    assert other.publishing.cause == ""
    assert await ids_seen(store) == {"a": 1}
    repairing.cancel()


# --- orphans ---


async def test_an_orphan_is_deleted_when_it_is_a_day_old_and_its_worker_gone(engine, store, start):
    engine.feed(entries("a"))
    dying, other = await start("dying"), await start("other")
    await leave_orphan(dying, engine)
    sweep = partial(sweep_orphans, other.books, other.store)
    assert await sweep() == 0
    age(store, timedelta(days=1, seconds=1))
    assert await sweep() == 1
    assert await names_of(store, "_pending") == []


async def test_an_old_object_is_kept_while_its_worker_may_still_commit_it(engine, store, start):
    """A worker can wait for its engine for longer than a day."""
    engine.feed(entries("a"))
    waiting, other = await start("waiting"), await start("other")
    done = [outcome(entry) for entry in await waiting.take()]
    waiting.books.fail("commit", DOWN)
    with pytest.raises(Exception, match="connection refused"):
        await waiting.ledger.commit(done)
    age(store, timedelta(days=2))
    assert await sweep_orphans(other.books, other.store) == 0
    await waiting.ledger.commit(done)
    assert await ids_seen(store) == {"a": 1}


async def test_an_old_object_that_counts_is_kept_until_it_is_published(engine, store, start):
    engine.feed(entries("a"))
    dying, other = await start("dying"), await start("other")
    await die_before_publishing(dying, engine)
    age(store, timedelta(days=2))
    assert await sweep_orphans(other.books, other.store) == 0
    await other.publishing.repair()
    assert await ids_seen(store) == {"a": 1}


@pytest.mark.parametrize("name", ["notes.txt", "99-1-records.jsonl.gz", "x-1-records.jsonl.gz"])
async def test_what_is_not_an_object_of_a_known_worker_is_kept(store, start, name):
    worker = await start()
    await store.put_new(f"_pending/{name}", b"of others")
    age(store, timedelta(days=2))
    assert await sweep_orphans(worker.books, worker.store) == 0
    assert await names_of(store, "_pending") == [f"_pending/{name}"]


async def test_ages_are_on_the_clock_of_the_store(engine, store, start):
    """It may be a year behind that of the workers."""
    engine.feed(entries("a"))
    dying, other = await start("dying"), await start("other")
    await leave_orphan(dying, engine)
    age(store, timedelta(days=365))
    replace = store.replace

    async def as_of_then(name, data):
        await replace(name, data)
        store.objects[name] = data, store.objects[name][1] - timedelta(days=365)

    store.replace = as_of_then
    assert await sweep_orphans(other.books, other.store) == 0


@virtually
async def test_orphans_are_deleted_at_the_start_and_each_hour(engine, store, start):
    engine.feed(entries("a", "b"), block_of=1)
    first, second, other = [await start(name) for name in ("first", "second", "other")]
    await leave_orphan(first, engine)
    await leave_orphan(second, engine)
    one, another = await names_of(store, "_pending")
    age(store, timedelta(hours=23, minutes=30))
    store.objects[one] = store.objects[one][0], store.objects[one][1] - timedelta(days=1)
    repairing = asyncio.create_task(other.publishing.keep_repairing(lambda: 0.5))
    await asyncio.sleep(1)
    assert await names_of(store, "_pending") == [another]
    age(store, timedelta(hours=1))
    await asyncio.sleep(3500)
    assert await names_of(store, "_pending") == [another]
    await asyncio.sleep(200)
    assert await names_of(store, "_pending") == []
    repairing.cancel()


# --- a database that was restored ---


async def test_a_store_that_agrees_with_the_log_is_accepted(engine, start):
    worker = await start()
    await refuse_restored(worker.books, worker.store, SETS, Compression.GZIP)
    engine.feed(entries("a", "b"), block_of=1)
    await commit_all(worker)
    await commit_all(worker)
    await refuse_restored(worker.books, worker.store, SETS, Compression.GZIP)


async def test_a_store_with_an_object_that_the_log_lacks_is_refused(engine, start):
    engine.feed(entries("a", "b"), block_of=1)
    worker = await start()
    await commit_all(worker)
    await commit_all(worker)
    engine.last_object = 1
    with pytest.raises(IntegrityError, match=r"records-000000002\.jsonl\.gz.* is number 1"):
        await refuse_restored(worker.books, worker.store, SETS, Compression.GZIP)


async def test_a_concurrent_commit_is_no_contradiction(engine, start):
    engine.feed(entries("a"))
    starting, other = await start("starting"), await start("other")
    known = starting.books.last_object

    async def just_before():
        number = await known()
        if not engine.last_object:
            await commit_all(other)
        return number

    starting.books.last_object = just_before
    await refuse_restored(starting.books, starting.store, SETS, Compression.GZIP)
    assert engine.last_object == 1


async def test_other_files_among_the_objects_are_no_contradiction(start, store):
    worker = await start()
    await store.put_new("records/records-2026.csv", b"of others")
    await store.put_new("records/zzz", b"of others")
    await refuse_restored(worker.books, worker.store, SETS, Compression.GZIP)
