"""The commit point on a real PostgreSQL, and the log of objects that it writes."""

import time

import psycopg
import pytest
from support.books import agrees, commit, entries_of, lose, outcomes_of, state_of, written

from cxai.cluster.keys import item_key
from cxai.cluster.rows import ObjectRow
from cxai.errors import FencedError, IntegrityError
from cxai.policy.verdict import Verdict

# --- the commit point ---


async def test_a_commit_that_is_sent_twice_counts_once(url, database, open_books, guids):
    books = await open_books(url)
    entries = entries_of(guids(50))
    await books.enqueue(entries)
    claimed = await books.claim(1)
    for part, finishes in ((entries[:20], False), (entries[20:], True)):
        sent = {"of": part, "pending": f"p{finishes}", "finished": {1: finishes}}
        number = await commit(books, claimed, **sent)
        before = state_of(database)
        assert await commit(books, claimed, **sent) == number
        assert state_of(database) == before
    assert await agrees(books)


async def test_a_commit_whose_answer_was_lost_is_found_by_the_name_of_its_object(
    url, open_books, guids
):
    books = await open_books(url)
    await books.enqueue(entries_of(guids(1)))
    assert await books.committed("_pending/1-1-records") is None
    number = await commit(books, await books.claim(1), pending="_pending/1-1-records")
    assert await books.committed("_pending/1-1-records") == number


async def test_a_commit_of_another_workers_block_is_refused_completely(
    url, database, open_books, guids
):
    mine, theirs = await open_books(url), await open_books(url)
    await mine.enqueue(entries_of(guids(100)))
    own, foreign = await mine.claim(1), await theirs.claim(1)
    before = state_of(database)

    with pytest.raises(FencedError):
        await commit(mine, [*own, *foreign])

    assert state_of(database) == before


async def test_a_commit_is_refused_completely_if_worker_and_books_disagree(
    url, database, open_books, guids
):
    books = await open_books(url)
    entries = entries_of(guids(150))
    await books.enqueue(entries)
    first, second, _third = await books.claim(3)
    await commit(books, [first], of=entries[:1])
    before = state_of(database)

    for settled, blocks in (
        (entries[:2], {first.block: False}),  # one of them has a verdict
        (entries[100:101], {first.block: False}),  # in another block, which is not named
        (entries[1:3], {first.block: True}),  # not finished
        (entries[50:100], {second.block: False}),  # finished
        (entries[1:2] * 2, {first.block: False}),  # named twice
        (entries[50:100] + entries[1:2], {first.block: True, second.block: False}),
        (entries_of(guids(1, seed=9)), {first.block: False}),  # in no block
    ):
        with pytest.raises(IntegrityError, match="Nothing was changed"):
            await books.commit(outcomes_of(settled), blocks, [written(settled)])
        assert state_of(database) == before


async def test_an_object_is_never_committed_under_a_name_that_counts(url, database, open_books):
    one, other = await open_books(url), await open_books(url)
    ids = [f"00000000-0000-4000-8000-{n:012}" for n in range(100)]
    await one.enqueue(entries_of(ids))
    await commit(one, await one.claim(1), pending="taken")
    claimed = await other.claim(1)
    before = state_of(database)

    with pytest.raises(IntegrityError):
        await commit(other, claimed, pending="taken")

    assert state_of(database) == before


async def test_a_database_restored_to_an_earlier_point_is_detected(
    url, database, open_books, guids
):
    books = await open_books(url)
    await books.enqueue(entries_of(guids(150)))
    blocks = await books.claim(3)
    await commit(books, blocks[:1])
    await commit(books, blocks[1:2])
    restore = "DELETE FROM object WHERE no > 1; UPDATE export SET last_object = 1"
    database.execute(restore, search_path="cxai_nightly")
    before = state_of(database)

    with pytest.raises(IntegrityError, match="restored to an earlier point"):
        await commit(books, blocks[2:])

    assert state_of(database) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE item SET verdict = 1 WHERE verdict = 12",
        "UPDATE item SET verdict = 12 WHERE verdict = 1",
        "UPDATE item SET verdict = NULL WHERE verdict = 1",
        "DELETE FROM item WHERE verdict IS NULL",
        "DELETE FROM item",
    ],
)
async def test_the_engine_itself_forbids_a_second_verdict(
    url, database, open_books, guids, statement
):
    books = await open_books(url)
    entries = entries_of(guids(3))
    await books.enqueue(entries)
    claimed = await books.claim(1)
    await commit(books, claimed, of=entries[:1])
    await commit(books, claimed, Verdict.EXHAUSTED, of=entries[1:2], finished={1: False})

    with pytest.raises(psycopg.DatabaseError, match="got another"):
        database.execute(statement, search_path="cxai_nightly")


async def test_the_time_of_a_commit_is_proportional_to_its_outcomes(url, open_books, guids):
    books = await open_books(url)
    await books.enqueue(entries_of(guids(8_000)))
    for _again in range(8):  # after a few, the engine would plan once for arrays of any length
        await commit(books, await books.claim(8))

    begun = time.monotonic()
    await commit(books, await books.claim(96))

    assert time.monotonic() - begun < 4  # 0.1 s; with each compared with each, 6 s


async def test_a_commit_without_an_object_is_a_mistake(url, open_books):
    books = await open_books(url)
    with pytest.raises(ValueError, match="without an object"):
        await books.commit([], {}, [])


# --- the log of objects ---


async def test_the_log_has_every_object_in_order_and_without_gaps(url, open_books, guids):
    books = await open_books(url)
    entries = entries_of(guids(150))
    await books.enqueue(entries)
    claimed = await books.claim(3)
    for one in claimed:
        sets = [written(one.entries, "records"), written(one.entries, "scores")]
        await books.commit(outcomes_of(one.entries), {one.block: True}, sets)

    rows = await books.objects(0, 2)
    rest = await books.objects(2, 2)

    assert [(row.number, row.set) for row in [*rows, *rest]] == [
        (number, name) for number in (1, 2, 3) for name in ("records", "scores")
    ]
    assert await books.objects(3, 2) == []
    assert rest[0] == ObjectRow(
        number=3, set="records", pending=rest[0].pending, records=50, size=5_000,
        sha256=rest[0].sha256, worker=books.worker, published=False,
        committed_at=rest[0].committed_at,
    )  # fmt: skip
    assert await books.last_object() == 3
    key = item_key(entries[149].key)
    assert await books.verdicts([key, b"unknown"]) == {key: (3, Verdict.OK)}


async def test_unpublished_objects_of_a_gone_worker_are_found_by_the_others(
    url, database, open_books, guids
):
    lost, other = await open_books(url), await open_books(url)
    await lost.enqueue(entries_of(guids(100)))
    first, second = await lost.claim(2)
    await commit(lost, [first], pending="a")
    await commit(lost, [second], pending="b")
    await lost.mark_published(1, "records")
    await lost.mark_published(1, "records")

    assert await other.unpublished_by_the_gone() == []
    await lose(database, lost, by=other)
    ((number, name, pending, sha256),) = await other.unpublished_by_the_gone()

    assert (number, name, pending, len(sha256)) == (2, "records", "b", 32)
    assert (await other.counts()).unpublished == 1
    await other.mark_published(number, name)
    assert not (await other.queue()).has_unpublished
