"""The commit of a cluster: objects and one transaction; whatever fails, each record counts once."""

import asyncio

import pytest
from support.cluster import DOWN, FAILS, ids_seen, lines_of, names_of, outcome
from support.doubles import entries
from support.faulty import Killed

from cxai.errors import BlockedError, FencedError, IntegrityError
from cxai.policy.verdict import Verdict


def once(*ids):
    return dict.fromkeys(ids, 1)


async def blocked_tries(worker, done):
    """Commit, as a run does, until it succeeds; return how often it was blocked."""
    for tries in range(10):
        try:
            await worker.ledger.commit(done)
        except BlockedError:
            continue
        return tries
    raise AssertionError("It is blocked for ever.")


# --- what a commit leaves ---


async def test_a_batch_becomes_one_numbered_object_for_each_set(engine, store, start):
    engine.feed(entries("a", "b", "c"))
    worker = await start()
    a, b, c = await worker.take()
    await worker.ledger.commit([outcome(a), outcome(b, Verdict.NOT_FOUND), outcome(c)])
    assert sorted(store.objects) == [
        "failures/failures-000000001.jsonl.gz",
        "records/records-000000001.jsonl.gz",
    ]
    assert await ids_seen(store) == once("a", "c")
    (row,) = await lines_of(store, "failures")
    assert (row["interaction_id"], row["verdict"]) == ("b", "not_found")


async def test_the_log_has_the_size_hash_and_lines_of_each_object(engine, store, start):
    engine.feed(entries("a", "b"))
    worker = await start()
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    (row,) = await worker.books.objects(0, 10)
    assert (row.number, row.set, row.records, row.published) == (1, "records", 2, True)
    assert row.size == len(store.objects["records/records-000000001.jsonl.gz"][0])


async def test_a_block_is_deleted_when_its_last_id_has_a_verdict(engine, start):
    engine.feed(entries("a", "b"))
    worker = await start()
    a, b = await worker.take()
    await worker.ledger.commit([outcome(a)])
    assert len(engine.blocks) == 1
    await worker.ledger.commit([outcome(b)])
    assert engine.blocks == {}


async def test_lines_above_a_mebibyte_are_packed_in_several_frames_and_read_as_one(
    engine, store, start
):
    engine.feed(entries(*(f"n{number}" for number in range(3))))
    worker = await start()
    done = [outcome(entry) for entry in await worker.take()]
    for one in done:
        one.lines["records"] = one.lines["records"][:-2] + b',"text":"' + b"x" * 700_000 + b'"}\n'
    await worker.ledger.commit(done)
    assert await ids_seen(store) == once("n0", "n1", "n2")


async def test_an_empty_commit_does_nothing(engine, start):
    worker = await start()
    await worker.ledger.commit([])
    assert engine.last_object == 0


# --- an engine or a store that fails ---


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize(
    ("where", "method", "error"),
    [("store", "put_new", FAILS), ("books", "commit", DOWN)],
)
async def test_a_blocked_commit_counts_once_when_it_is_repeated(
    engine, store, start, where, method, error, after
):
    engine.feed(entries("a", "b"))
    worker = await start()
    done = [outcome(entry) for entry in await worker.take()]
    getattr(worker, where).fail(method, error, error, after=after)
    assert await blocked_tries(worker, done) >= 1
    assert await ids_seen(store) == once("a", "b")
    assert engine.last_object == 1
    assert await names_of(store, "_pending") == []


async def test_a_full_store_is_waited_for(engine, store, start):
    engine.feed(entries("a", "b"))
    worker = await start()
    a, b = await worker.take()
    await worker.ledger.commit([outcome(a)])
    store.space_bytes = len(store.objects["records/records-000000001.jsonl.gz"][0])
    for _ in range(3):
        with pytest.raises(BlockedError, match="is full"):
            await worker.ledger.commit([outcome(b)])
    store.space_bytes = None
    await worker.ledger.commit([outcome(b)])
    assert await ids_seen(store) == once("a", "b")


async def test_the_cause_of_a_blocked_commit_is_named(engine, start):
    engine.feed(entries("a"))
    worker = await start()
    worker.books.fail("commit", DOWN)
    with pytest.raises(
        BlockedError, match="database db/cxai can't be used now: connection refused"
    ):
        await worker.ledger.commit([outcome(entry) for entry in await worker.take()])


async def test_a_commit_whose_answer_was_lost_counts_even_if_its_worker_is_declared_gone(
    engine, store, start
):
    engine.feed(entries("a"))
    worker, other = await start(), await start("other")
    done = [outcome(entry) for entry in await worker.take()]
    worker.books.fail("commit", DOWN, after=True)
    with pytest.raises(BlockedError):
        await worker.ledger.commit(done)
    engine.declare_gone(worker.books.worker)
    await other.publishing.repair()
    await worker.ledger.commit(done)
    assert await ids_seen(store) == once("a")
    assert engine.last_object == 1


async def test_a_repeated_commit_writes_the_same_objects(engine, store, start):
    engine.feed(entries("a", "b"))
    worker = await start()
    done = [outcome(entry) for entry in await worker.take()]
    worker.store.fail("put_new", *[FAILS] * 3, after=True)
    for _ in range(3):
        with pytest.raises(BlockedError):
            await worker.ledger.commit(done)
    assert len(await names_of(store, "_pending")) == 1


async def test_another_commit_waits_until_the_result_of_the_first_one_is_known(
    engine, store, start
):
    engine.feed(entries("a", "b"))
    worker = await start()
    a, b = await worker.take()
    worker.books.fail("commit", DOWN, after=True)
    for done in (outcome(a), outcome(b)):
        with pytest.raises(BlockedError, match="connection refused"):
            await worker.ledger.commit([done])
    await worker.ledger.commit([outcome(a)])
    await worker.ledger.commit([outcome(b)])
    assert await ids_seen(store) == once("a", "b")
    assert engine.blocks == {}


async def test_a_worker_that_was_declared_gone_commits_nothing(engine, store, start):
    engine.feed(entries("a"))
    zombie, other = await start("zombie"), await start("other")
    (a,) = await zombie.take()
    engine.declare_gone(zombie.books.worker)
    with pytest.raises(FencedError, match="took this worker for dead"):
        await zombie.ledger.commit([outcome(a)])
    await other.ledger.commit([outcome(entry) for entry in await other.take()])
    with pytest.raises(FencedError):
        await zombie.ledger.commit([outcome(a)])
    assert await ids_seen(store) == once("a")


async def test_a_pending_name_with_another_content_is_a_contradiction(engine, store, start):
    engine.feed(entries("a"))
    worker = await start()
    await store.put_new(f"_pending/{worker.books.worker}-1-records.jsonl.gz", b"of others")
    with pytest.raises(IntegrityError, match="restored to an earlier point"):
        await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    assert engine.last_object == 0


# --- a publishing that fails, after the commit point ---


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize(
    ("where", "method", "error", "cause"),
    [
        ("store", "publish", FAILS, "s3://bucket/nightly can't be written: 503 SlowDown"),
        ("books", "mark_published", DOWN, "connection refused"),
    ],
)
async def test_objects_that_cannot_be_published_count_and_are_published_later(
    engine, store, start, where, method, error, cause, after
):
    engine.feed(entries("a", "b"))
    worker = await start()
    a, b = await worker.take()
    getattr(worker, where).fail(method, error, after=after)
    await worker.ledger.commit([outcome(a), outcome(b, Verdict.REJECTED)])
    assert worker.publishing.cause == cause
    assert await worker.publishing.repair() == 2
    assert await worker.publishing.repair() == 0
    assert await ids_seen(store) == once("a")
    assert len(await lines_of(store, "failures")) == 1
    assert all(row.published for row in engine.objects.values())


async def test_a_final_name_with_another_content_is_a_contradiction(engine, store, start):
    engine.feed(entries("a"))
    worker = await start()
    await store.put_new("records/records-000000001.jsonl.gz", b"of others")
    with pytest.raises(IntegrityError, match="another export"):
        await worker.ledger.commit([outcome(entry) for entry in await worker.take()])


# --- a worker that is killed between two steps ---


@pytest.mark.parametrize(
    ("where", "step"),
    [
        ("store", ("put_new", "before")),
        ("store", ("put_new", "after")),
        ("books", ("commit", "before")),
        ("books", ("commit", "after")),
        ("store", ("publish", "after")),
        ("books", ("mark_published", "after")),
    ],
)
async def test_whichever_step_a_worker_dies_at_another_one_finishes_exactly(
    engine, store, start, where, step
):
    engine.feed(entries("a", "b", "c"))
    dying, other = await start("dying"), await start("other")
    a, b, _ = await dying.take()

    def die(name, when):
        if (name, when) == step:
            raise Killed

    getattr(dying, where).at = die
    with pytest.raises(Killed):
        await dying.ledger.commit([outcome(a), outcome(b, Verdict.NOT_FOUND)])
    engine.declare_gone(dying.books.worker)

    await other.publishing.repair()
    await other.ledger.commit([outcome(entry) for entry in await other.take()])
    counts = await other.books.counts()
    assert (counts.open, counts.unpublished, counts.queued) == (0, 0, 0)
    records, failures = await ids_seen(store), await lines_of(store, "failures")
    assert max(records.values()) == 1
    assert records.keys() | {row["interaction_id"] for row in failures} == {"a", "b", "c"}
    assert len(records) + len(failures) == 3


# --- cancellation ---


@pytest.mark.parametrize("times", [1, 3])
async def test_a_commit_is_waited_for_however_often_the_caller_is_cancelled(
    engine, store, start, times
):
    engine.feed(entries("a"))
    worker = await start()
    done = [outcome(entry) for entry in await worker.take()]
    committing = asyncio.create_task(worker.ledger.commit(done))
    for _ in range(times):
        await asyncio.sleep(0)
        committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    assert await ids_seen(store) == once("a")


# --- IDs that cost workers ---


async def test_an_id_that_kills_worker_after_worker_is_given_up_as_poison(engine, store, start):
    engine.feed(entries("a", "b"), block_of=1)
    for number in range(10):
        dying = await start(f"dying-{number}")
        assert [entry.id for entry in await dying.take()] == ["a"]
        engine.declare_gone(dying.books.worker)
    worker = await start()
    assert [entry.id for entry in await worker.take(2)] == ["b"]
    (row,) = await lines_of(store, "failures")
    assert (row["interaction_id"], row["verdict"]) == ("a", "poison")
    assert row["reason"] == "10 workers in a row were lost while they had this ID"
    assert len(engine.blocks) == 1


async def test_poison_that_is_retried_is_fetched_by_the_same_worker(engine, start):
    (a,) = entries("a")
    engine.feed([a])
    engine.blocks[1].losses = 10
    worker = await start()
    assert await worker.take() == []
    engine.queue_again(a)
    assert await worker.take() == [a]


async def test_an_admission_counts_poison_as_settled_and_may_be_made_again(engine, store, start):
    engine.feed(entries("a", "b"), block_of=1)
    for block in engine.blocks.values():
        block.losses = 10
    worker = await start()
    claimed = await worker.books.claim(2)
    for block in claimed:
        worker.holdings.take(block)
    block = [entry for one in claimed for entry in one.entries]
    worker.books.fail("commit", DOWN, after=True)
    with pytest.raises(BlockedError):
        await worker.ledger.admit(block)
    admission = await worker.ledger.admit(block)
    assert (admission.fresh, admission.settled) == ([], {Verdict.POISON: 2})
    assert len(await lines_of(store, "failures")) == 2
