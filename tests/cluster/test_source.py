"""The source of a cluster: blocks of IDs are claimed as they are needed, until all is settled."""

import asyncio
from contextlib import aclosing

import pytest
from support.cluster import DOWN, FAILS, outcome
from support.doubles import entries
from support.virtual import virtually

from cxai.core.ports import Source
from cxai.errors import FencedError

IDS = [f"n{number}" for number in range(450)]


async def commit(worker, block):
    await worker.ledger.commit([outcome(entry) for entry in block])


async def work_off(worker):
    """Claim and commit until the source ends; return the IDs."""
    ids = []
    async with aclosing(worker.source.batches()) as batches:
        async for block in batches:
            ids += [entry.id for entry in block]
            await commit(worker, block)
    return ids


def now():
    return asyncio.get_running_loop().time()


async def first_of(batches):
    return await anext(aiter(batches))


# --- what it gives ---


async def test_it_is_a_source_and_not_a_queue(start):
    worker = await start()
    assert isinstance(worker.source, Source)
    assert not worker.source.is_queue


@virtually
async def test_it_yields_every_id_once_and_then_ends(engine, start):
    engine.feed(entries(*IDS, *IDS[:100]))
    worker = await start()
    assert await work_off(worker) == IDS
    assert engine.blocks == {}


@virtually
async def test_few_blocks_are_claimed_at_a_time_so_that_workers_share_them(engine, start):
    engine.feed(entries(*IDS))
    async with aclosing((await start()).source.batches()) as batches:
        assert len(await first_of(batches)) == 200
    assert sum(block.owner is None for block in engine.blocks.values()) == 5


@virtually
async def test_nothing_is_claimed_while_the_worker_needs_no_more(engine, start):
    engine.feed(entries(*IDS))
    need = [0]
    worker = await start(need=lambda: need[0])
    waiting = asyncio.create_task(first_of(worker.source.batches()))
    await asyncio.sleep(10)
    assert "claim" not in worker.books.calls
    need[0] = 1
    assert await waiting


@virtually
async def test_two_workers_get_different_ids(engine, start):
    engine.feed(entries(*IDS))
    both = await asyncio.gather(work_off(await start("a")), work_off(await start("b")))
    assert sorted(both[0] + both[1]) == sorted(IDS)


# --- when it ends ---


@virtually
async def test_it_waits_while_the_input_is_incomplete(engine, start):
    engine.feed(entries(*IDS[:10]), fed=False)
    worker = await start()
    working = asyncio.create_task(work_off(worker))
    await asyncio.sleep(3600)
    assert worker.drained == 0
    engine.feed(entries(*IDS[10:20]))
    assert await working == IDS[:20]


@virtually
async def test_it_waits_for_the_ids_of_another_worker_and_takes_them_over_if_that_dies(
    engine, start
):
    engine.feed(entries(*IDS[:10]))
    dying, worker = await start("dying"), await start()
    await dying.take()
    working = asyncio.create_task(work_off(worker))
    await asyncio.sleep(3600)
    assert not working.done()
    engine.declare_gone(dying.books.worker)
    assert await working == IDS[:10]


@virtually
async def test_it_does_not_end_before_every_object_has_its_final_name(engine, start):
    engine.feed(entries("a"))
    worker = await start()
    worker.store.fail("publish", FAILS)
    working = asyncio.create_task(work_off(worker))
    await asyncio.sleep(3600)
    assert not working.done()
    await worker.publishing.repair()
    assert await working == ["a"]


@virtually
async def test_an_endless_source_continues_when_all_is_settled(engine, start):
    engine.feed(entries("a"))
    worker = await start(until_settled=False)
    working = asyncio.create_task(work_off(worker))
    await asyncio.sleep(3600)
    assert not working.done()
    working.cancel()


@virtually
async def test_it_reports_that_nothing_is_left_to_claim_while_outcomes_wait_for_a_commit(
    engine, start
):
    """Else the end of a night would wait until the last object is old enough."""
    engine.feed(entries("a"))
    worker = await start()
    async with aclosing(worker.source.batches()) as batches:
        block = await anext(batches)
        ending = asyncio.create_task(anext(batches, None))
        await asyncio.sleep(10)
        assert worker.drained > 1
        await commit(worker, block)
        assert await ending is None


@virtually
async def test_an_empty_queue_is_polled_every_two_seconds_at_most(engine, start):
    engine.feed([], fed=False)
    worker = await start()
    waiting = asyncio.create_task(work_off(worker))
    await asyncio.sleep(3600)
    assert 1_700 <= worker.books.calls.count("claim") <= 3_700
    waiting.cancel()


# --- trouble with the engine ---


@virtually
async def test_an_unreachable_database_is_waited_for(engine, start):
    engine.feed(entries("a"))
    worker = await start()
    worker.books.fail("claim", *[DOWN] * 50)
    assert await work_off(worker) == ["a"]


@virtually
async def test_blocks_of_a_lost_answer_come_with_the_next_one(engine, start):
    engine.feed(entries(*IDS))
    worker = await start()
    worker.books.lose_answers(2)
    assert await work_off(worker) == IDS


@virtually
async def test_a_worker_that_was_declared_gone_claims_nothing_more(engine, start):
    engine.feed(entries(*IDS))
    worker = await start()
    engine.declare_gone(worker.books.worker)
    with pytest.raises(FencedError, match="took this worker for dead"):
        await work_off(worker)


# --- the end ---


@virtually
async def test_leaving_returns_ids_without_a_verdict(engine, start):
    engine.feed(entries("a", "b"))
    worker, other = await start(), await start("other")
    async with worker.source:
        a, _ = await first_of(worker.source.batches())
        await commit(worker, [a])
    assert [entry.id for entry in await other.take()] == ["b"]


@virtually
async def test_leaving_does_not_fail_when_the_database_is_unreachable(start):
    worker = await start()
    worker.books.fail("leave", DOWN)
    async with worker.source:
        pass
