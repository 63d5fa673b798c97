"""The books of an export on a real PostgreSQL: how IDs enter, are claimed and settled."""

from dataclasses import replace

import pytest
from support.books import agrees, all_of, commit, entries_of, lose

from cxai.cluster.rows import Enqueued
from cxai.core.entry import IdRule
from cxai.errors import FencedError, UsageError
from cxai.policy.verdict import Verdict

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


async def test_a_lost_workers_block_is_claimed_again_with_its_open_ids_only(
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


async def test_blocks_that_are_returned_count_as_no_loss(url, open_books, guids):
    leaving, staying = await open_books(url), await open_books(url)
    await leaving.enqueue(entries_of(guids(150)))
    claimed = await leaving.claim(3)

    await leaving.leave()
    await leaving.leave()
    assert await staying.claim(9) == claimed
    with pytest.raises(FencedError):
        await leaving.claim(1)


async def test_a_block_whose_claim_was_not_answered_is_returned_by_the_next_claim(
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
