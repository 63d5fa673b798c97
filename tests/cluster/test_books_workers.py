"""The books of an export on a real PostgreSQL: workers that are lost, and the IDs that they had."""

import pytest
from support.books import FORM, TERMS, agrees, commit, entries_of, lose, silence, state_of

from cxai.cluster.schema import init
from cxai.cluster.url import parse_engine_url
from cxai.errors import FencedError
from cxai.policy.verdict import Verdict


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


async def test_workers_of_another_export_are_not_judged(url, database, open_books, guids):
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


async def test_a_worker_reports_its_state(url, open_books, guids):
    books = await open_books(url)
    await books.enqueue(entries_of(guids(60)))
    await books.claim(9)
    await books.beat("waiting: the API answers 503", may_reap=False)

    (row,) = await books.workers()

    assert (row.id, row.name, row.gone, row.blocks) == (books.worker, "a worker", False, 2)
    assert row.state == "waiting: the API answers 503"
    assert 0 <= row.silent_s < 5


async def test_numbers_of_workers_are_unique_even_in_a_restored_database(url, database, open_books):
    first = await open_books(url)
    database.execute("DELETE FROM cxai.worker")

    second = await open_books(url)

    assert second.worker > first.worker
    with pytest.raises(FencedError):
        await first.beat("", may_reap=False)
