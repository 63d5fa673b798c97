"""What the books of an export promise, on a real PostgreSQL."""

import time
from dataclasses import replace

import psycopg
import pytest
from support.books import (
    FORM,
    TERMS,
    all_of,
    commit,
    entries_of,
    lose,
    outcomes_of,
    silence,
    state_of,
    written,
)

from cxai.cluster.keys import item_key
from cxai.cluster.rows import Enqueued, ObjectRow, Recount
from cxai.cluster.schema import init
from cxai.cluster.url import parse_engine_url
from cxai.core.entry import IdRule
from cxai.errors import FencedError, IntegrityError, UsageError
from cxai.policy.verdict import Verdict


async def agrees(books):
    """Whether the running account of an export is what is really there."""
    counts, real = await books.counts(), await books.recount()
    return real == Recount(counts.ids, counts.verdicts, counts.open)


# --- the life of an ID ---


async def test_what_is_queued_is_claimed_settled_and_then_finished(url, open_books, guids):
    books = await open_books(url)
    entries = entries_of(guids(120))

    taken = await books.enqueue(entries)
    await books.finish_feeding()
    claimed = await books.claim(10)

    assert taken == Enqueued(120, 0, {}, {})
    assert [len(one.entries) for one in claimed] == [50, 50, 20]
    assert all_of(claimed) == entries
    assert not (await books.counts()).finished
    assert await commit(books, claimed) == 1
    counts = await books.counts()
    assert counts.finished
    assert (counts.ids, counts.open, counts.verdicts) == (120, 0, {"ok": 120})
    assert await agrees(books)


async def test_an_export_is_finished_only_when_no_more_lines_come(url, open_books, guids):
    books = await open_books(url)
    first, second = entries_of(guids(2))
    await books.enqueue([first])
    await commit(books, await books.claim(1))
    assert not (await books.counts()).finished

    await books.finish_feeding()
    assert (await books.counts()).finished
    assert not (await books.queue()).has_blocks

    await books.enqueue([second])
    assert not (await books.counts()).finished
    assert not (await books.queue()).fed


async def test_workers_never_claim_the_same_block(url, open_books, guids):
    one, other = await open_books(url), await open_books(url)
    await one.enqueue(entries_of(guids(200)))

    mine, theirs = await one.claim(2), await other.claim(10)

    assert [block.block for block in mine] == [1, 2]
    assert [block.block for block in theirs] == [3, 4]
    assert await one.claim(10) == []


async def test_a_lost_workers_block_comes_again_with_its_open_ids_alone(
    url, database, open_books, guids
):
    lost, other = await open_books(url), await open_books(url)
    entries = entries_of(guids(50))
    await lost.enqueue(entries)
    await commit(lost, await lost.claim(1), of=entries[10:30])

    await lose(database, lost, by=other)
    (again,) = await other.claim(5)

    assert again.entries == entries[:10] + entries[30:]
    assert again.losses == 1
    await commit(other, [again])
    assert await agrees(other)


async def test_blocks_given_back_in_an_orderly_way_count_as_no_loss(url, open_books, guids):
    leaving, staying = await open_books(url), await open_books(url)
    await leaving.enqueue(entries_of(guids(150)))
    claimed = await leaving.claim(3)

    await leaving.leave()
    await leaving.leave()
    assert await staying.claim(9) == claimed
    with pytest.raises(FencedError):
        await leaving.claim(1)


async def test_a_block_whose_claim_was_not_answered_comes_with_the_next_claim(
    url, database, open_books, guids
):
    books = await open_books(url)
    await books.enqueue(entries_of(guids(100)))
    claim = "SELECT its_id FROM claim(%s, '{}', 1)"
    ((lost,),) = database.execute(claim, (books.worker,), "cxai_nightly,cxai")

    assert [one.block for one in await books.claim(1)] == [lost]
    assert [one.block for one in await books.claim(1)] == [2]
    assert await books.claim(1) == []


# --- lines of input ---


async def test_lines_are_reconciled_however_often_they_come(url, open_books, guids):
    books = await open_books(url)
    a, b, c = entries_of(guids(3))

    assert await books.enqueue([a, b, a]) == Enqueued(2, 1, {}, {})
    assert await books.enqueue([b, c]) == Enqueued(1, 1, {}, {})
    counts = await books.counts()

    assert (counts.lines, counts.ids, counts.duplicates, counts.open) == (5, 3, 2, 3)
    assert await agrees(books)


async def test_an_id_with_a_final_verdict_is_never_queued_again(url, open_books, guids):
    books = await open_books(url)
    found, missing = entries_of(guids(2))
    await books.enqueue([found, missing])
    claimed = await books.claim(1)
    await commit(books, claimed, of=[found])
    await commit(books, claimed, Verdict.NOT_FOUND, of=[missing], finished={1: True})

    taken = await books.enqueue([found, missing, found])

    assert taken == Enqueued(0, 3, {Verdict.OK: 2, Verdict.NOT_FOUND: 1}, {})
    assert await books.claim(1) == []


async def test_an_id_whose_verdict_is_not_final_is_queued_again_by_its_next_line(
    url, open_books, guids
):
    books = await open_books(url)
    entries = entries_of(guids(3))
    await books.enqueue(entries)
    await commit(books, await books.claim(1), Verdict.EXHAUSTED)

    again = [replace(entries[1], source="later.txt", line=9), entries[2]]
    assert await books.enqueue([*again, again[0]]) == Enqueued(0, 3, {}, {Verdict.EXHAUSTED: 2})
    assert (await books.counts()).verdicts == {Verdict.EXHAUSTED: 1}
    assert await agrees(books)

    claimed = await books.claim(5)
    assert all_of(claimed) == again
    await commit(books, claimed)
    assert (await books.counts()).verdicts == {Verdict.OK: 2, Verdict.EXHAUSTED: 1}
    assert await agrees(books)


async def test_an_id_that_is_queued_again_is_in_one_block_only(url, database, open_books, guids):
    books, other = await open_books(url), await open_books(url)
    entries = entries_of(guids(3))
    await books.enqueue(entries)
    claimed = await books.claim(1)
    await commit(books, claimed, Verdict.EXHAUSTED, of=entries[:1])

    await books.enqueue(entries[:1])  # while its first block has other IDs that are open
    await lose(database, books, by=other)

    blocks = await other.claim(5)
    assert [list(one.entries) for one in blocks] == [entries[1:], entries[:1]]
    await commit(other, blocks)
    assert await agrees(other)


NASTY = [
    b"00000000-0000-4000-8000-00000000000A",  # its letters are kept
    b"{00000000-0000-4000-8000-00000000000b}",
    b"not an ID",
    b"\x00\xff\xed\xa0\x80'\\\"",
    b"",
]


@pytest.mark.parametrize("source", ["ids.txt", "a\udcff\0b.txt"])
async def test_every_line_comes_out_as_it_went_in(url, open_books, source):
    books = await open_books(url)
    guid, text = IdRule(), IdRule(r".*")
    entries = [guid.read(raw, source, line) for line, raw in enumerate(NASTY, 1)]
    ids = ["a", "fifteen-letters", "sixteen-letters-", "seventeen-letters", "~" * 256]
    entries += [text.read(one.encode(), source, line) for line, one in enumerate(ids, 100)]

    await books.enqueue(entries)

    shown = source.replace("\udcff", r"\udcff").replace("\0", r"\x00")
    assert all_of(await books.claim(1)) == [replace(one, source=shown) for one in entries]


async def test_retry_queues_all_ids_with_a_verdict_and_keeps_where_they_came_from(
    url, open_books, guids
):
    books = await open_books(url)
    entries = [
        *entries_of(guids(70), "a.txt"),
        *entries_of(guids(70, seed=2), "b.txt"),
    ]
    await books.enqueue(entries)
    claimed = await books.claim(9)
    await commit(books, claimed[:2], Verdict.NOT_FOUND)
    await commit(books, claimed[2:3], Verdict.TOO_LARGE)
    await commit(books, claimed[3:])

    assert await books.retry([Verdict.NOT_FOUND, Verdict.TOO_LARGE]) == 120
    assert await books.retry([Verdict.NOT_FOUND]) == 0
    again = await books.claim(9)

    assert all_of(again) == entries[:120]
    assert (await books.counts()).verdicts == {Verdict.OK: 20}
    assert await agrees(books)


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.INVALID_ID])
async def test_retry_refuses_what_is_never_requested_again(url, open_books, verdict):
    books = await open_books(url, register=False)
    with pytest.raises(UsageError, match=verdict):
        await books.retry([Verdict.NOT_FOUND, verdict])


# --- workers that are lost ---


async def test_a_block_that_cost_five_workers_is_split_and_its_worst_id_is_poison(
    url, database, open_books, guids
):
    last, leaving = await open_books(url), await open_books(url)
    entries = entries_of(guids(3))
    await last.enqueue(entries)
    for losses in range(5):
        unlucky = await open_books(url)
        (block,) = await unlucky.claim(9)
        assert (block.losses, len(block.entries)) == (losses, 3)
        await lose(database, unlucky, by=last)

    singles = await leaving.claim(9)
    assert [list(one.entries) for one in singles] == [[one] for one in entries]
    assert not any(one.poisoned for one in singles)
    await commit(leaving, singles[1:])
    await leaving.leave()

    for losses in range(5, 10):
        unlucky = await open_books(url)
        (block,) = await unlucky.claim(9)
        assert (block.losses, block.poisoned) == (losses, False)
        await lose(database, unlucky, by=last)
    (block,) = await last.claim(9)

    assert block.poisoned
    await commit(last, [block], Verdict.POISON)
    assert (await last.counts()).verdicts == {Verdict.OK: 2, Verdict.POISON: 1}
    assert await agrees(last)


async def test_only_a_worker_that_may_judge_declares_others_gone(url, database, open_books, guids):
    silent, young = await open_books(url), await open_books(url)
    await silent.enqueue(entries_of(guids(1)))
    await silent.claim(1)
    silence(database, silent)

    assert await young.beat("looking around", may_reap=False) == 0
    assert await silent.beat("back again", may_reap=False) == 0
    assert await young.beat("", may_reap=True) == 0

    await lose(database, silent, by=young)
    assert [one.gone for one in await young.workers()] == [True, False]


TRIES = {
    "beat": lambda books, _claimed: books.beat("", may_reap=True),
    "claim": lambda books, _claimed: books.claim(1),
    "commit": commit,
}


@pytest.mark.parametrize("what", TRIES)
async def test_a_worker_that_was_declared_gone_can_do_nothing_more(
    url, database, open_books, guids, what
):
    gone, other = await open_books(url), await open_books(url)
    await gone.enqueue(entries_of(guids(100)))
    claimed = await gone.claim(1)
    await lose(database, gone, by=other)
    before = state_of(database)

    with pytest.raises(FencedError):
        await TRIES[what](gone, claimed)

    assert state_of(database) == before


async def test_workers_of_another_export_are_left_to_their_own(url, database, open_books, guids):
    weekly = parse_engine_url(database.url("weekly"))
    await init(weekly, FORM, TERMS)
    silent, other = await open_books(weekly), await open_books(url)
    await silent.enqueue(entries_of(guids(1)))
    await silent.claim(1)
    silence(database, silent)

    assert await other.beat("", may_reap=True) == 0
    assert await other.claim(1) == []
    assert [one.id for one in await other.workers()] == [other.worker]
    assert await silent.beat("", may_reap=False) == 0


async def test_a_worker_says_what_it_does(url, open_books, guids):
    books = await open_books(url)
    await books.enqueue(entries_of(guids(60)))
    await books.claim(9)
    await books.beat("waiting: the API answers 503", may_reap=False)

    (row,) = await books.workers()

    assert (row.id, row.name, row.gone, row.blocks) == (books.worker, "a worker", False, 2)
    assert row.state == "waiting: the API answers 503"
    assert 0 <= row.silent_s < 5


async def test_numbers_of_workers_are_never_given_twice_even_by_an_older_database(
    url, database, open_books
):
    first = await open_books(url)
    database.execute("DELETE FROM cxai.worker")

    second = await open_books(url)

    assert second.worker > first.worker
    with pytest.raises(FencedError):
        await first.beat("", may_reap=False)


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


async def test_a_commit_of_another_workers_block_is_refused_whole(url, database, open_books, guids):
    mine, theirs = await open_books(url), await open_books(url)
    await mine.enqueue(entries_of(guids(100)))
    own, foreign = await mine.claim(1), await theirs.claim(1)
    before = state_of(database)

    with pytest.raises(FencedError):
        await commit(mine, [*own, *foreign])

    assert state_of(database) == before


async def test_a_commit_is_refused_whole_where_worker_and_books_disagree(
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


async def test_a_database_that_was_restored_to_an_earlier_point_is_noticed(
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


async def test_the_time_of_a_commit_grows_with_its_outcomes_alone(url, open_books, guids):
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


async def test_what_a_gone_worker_left_unpublished_is_found_by_the_others(
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
