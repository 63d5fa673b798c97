import asyncio
import os
import threading
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.errors import InputBrokenError
from cxai.sources.threaded_reader import MAX_AHEAD, MAX_BATCH, ThreadedReader

PATIENCE_S = 10


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name == "source"]


async def batches_of(blocks):
    return [batch async for batch in ThreadedReader(blocks).batches()]


@given(st.lists(st.integers(0, 1_500).map(range), max_size=6))
def test_every_item_comes_once_in_order_in_batches_of_bounded_size(blocks):
    batches = asyncio.run(batches_of(block for block in blocks))
    assert [item for batch in batches for item in batch] == [i for block in blocks for i in block]
    assert all(0 < len(batch) <= MAX_BATCH for batch in batches)
    assert not reading_threads()


async def test_no_more_is_read_ahead_than_there_is_room_for():
    read = 0
    full = threading.Event()

    def blocks():
        nonlocal read
        for _ in range(1_000):
            read += 100
            if read > MAX_AHEAD:
                full.set()
            yield range(100)

    taken = 0
    async with aclosing(ThreadedReader(blocks()).batches()) as batches:
        async for batch in batches:
            taken += len(batch)
            if not full.is_set():
                assert await asyncio.to_thread(full.wait, PATIENCE_S)
            # What waits, and the block that waits to join it.
            assert read - taken <= MAX_AHEAD + 100
    assert taken == 100_000


async def test_an_item_is_handed_over_without_waiting_for_the_next():
    asked = threading.Event()

    def blocks():
        for number in range(3):
            assert asked.wait(PATIENCE_S)
            asked.clear()
            yield [number]

    async with aclosing(ThreadedReader(blocks()).batches()) as batches, asyncio.timeout(PATIENCE_S):
        for number in range(3):
            asked.set()
            assert await anext(batches) == [number]


async def test_the_loop_goes_on_while_nothing_arrives():
    release = threading.Event()

    def blocks():
        assert release.wait(PATIENCE_S)
        yield ["late"]

    async with aclosing(ThreadedReader(blocks()).batches()) as batches:
        coming = asyncio.create_task(anext(batches))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not coming.done()
        release.set()
        assert await coming == ["late"]


@pytest.mark.parametrize("error", [InputBrokenError("it broke"), ValueError("a defect")])
async def test_an_error_comes_after_all_items_before_it(error):
    def blocks():
        yield range(3_000)
        raise error

    taken = []

    async def consume():
        async for batch in ThreadedReader(blocks()).batches():
            taken.extend(batch)

    with pytest.raises(type(error)) as raised:
        await consume()
    assert raised.value is error
    assert taken == list(range(3_000))
    assert not reading_threads()


@pytest.mark.parametrize("block", [range(10), range(1_000)])
async def test_a_consumer_that_leaves_early_ends_the_thread_and_closes_what_it_reads(block):
    closed_on = []

    def blocks():
        try:
            while True:
                yield block
        finally:
            closed_on.append(threading.current_thread().name)

    async with aclosing(ThreadedReader(blocks()).batches()) as batches:
        assert await anext(batches)
    assert closed_on == ["source"]
    assert not reading_threads()


async def test_a_consumer_held_in_a_read_can_be_cancelled():
    end, start = os.pipe()
    closed = threading.Event()

    def blocks():
        try:
            yield [os.read(end, 1)]
        finally:
            closed.set()

    async def consume():
        async for _ in ThreadedReader(blocks()).batches():
            pytest.fail("nothing was written")

    consumer = asyncio.create_task(consume())
    await asyncio.sleep(0)
    [thread] = reading_threads()
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert thread.daemon
    os.close(start)  # only this ends the read
    await asyncio.to_thread(thread.join, PATIENCE_S)
    assert closed.is_set()
    os.close(end)


def test_a_thread_that_outlives_its_loop_ends_quietly():
    release = threading.Event()

    def blocks():
        release.wait(PATIENCE_S)
        yield ["unused"]

    async def leave():
        coming = asyncio.create_task(anext(ThreadedReader(blocks()).batches()))
        await asyncio.sleep(0)
        coming.cancel()
        await asyncio.wait([coming])

    asyncio.run(leave())
    [thread] = reading_threads()
    release.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
