"""What the books of an export promise, on a real PostgreSQL."""

from support.books import all_of, commit, entries_of


async def test_what_is_queued_is_claimed_settled_and_then_finished(url, open_books, guids):
    books = await open_books(url)
    entries = entries_of(guids(120))

    taken = await books.enqueue(entries)
    await books.finish_feeding()
    claimed = await books.claim(10)

    assert (taken.fresh, taken.duplicates) == (120, 0)
    assert [len(one.entries) for one in claimed] == [50, 50, 20]
    assert all_of(claimed) == entries
    assert await commit(books, claimed) == 1
    counts = await books.counts()
    assert counts.finished
    assert (counts.ids, counts.open, counts.verdicts) == (120, 0, {"ok": 120})
