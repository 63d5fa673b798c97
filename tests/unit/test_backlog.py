"""The queue of IDs that wait for their request or their retry."""

import asyncio

import uvloop
from support.doubles import entries
from support.virtual import at, quiet, virtually

from cxai.core.backlog import Backlog, Item


def item(name="a"):
    (entry,) = entries(name)
    return Item(entry)


def taken(backlog):
    return [backlog.take().entry.id for _ in range(backlog.ready)]


@virtually
async def test_new_items_are_taken_in_order():
    backlog = Backlog(10)
    backlog.offer(map(item, "ab"))
    backlog.offer([])
    backlog.offer([item("c")])
    assert taken(backlog) == ["a", "b", "c"]


@virtually
async def test_a_due_retry_goes_before_new_items():
    backlog = Backlog(10)
    backlog.offer([item("new")])
    backlog.requeue(item("soon"), 2.0)
    backlog.requeue(item("later"), 5.0)
    backlog.requeue(item("now"), 0.0)
    assert backlog.take().entry.id == "now"
    await at(10.0)
    assert taken(backlog) == ["soon", "later", "new"]


@virtually
async def test_a_retry_is_not_taken_before_it_is_due():
    backlog = Backlog(10)
    backlog.requeue(item(), 3600.0)
    await at(3599.0)
    assert backlog.ready == 0
    await at(3600.0)
    assert taken(backlog) == ["a"]


@virtually
async def test_a_retry_may_let_others_go_first():
    backlog = Backlog(10)
    backlog.offer(map(item, "bcd"))
    backlog.requeue(item("a"), 0.0, behind=2)
    assert taken(backlog) == ["b", "c", "a", "d"]
    backlog.requeue(item("a"), 1.0, behind=2)
    await at(1.0)
    assert taken(backlog) == ["a"]


@virtually
async def test_an_item_that_has_not_failed_can_be_taken_before_those_that_have():
    backlog = Backlog(10)
    backlog.requeue(item("failed"), 0.0)
    assert backlog.take_other() is None
    backlog.offer(map(item, "abc"))
    assert backlog.take_other().entry.id == "c"  # the one that is least like those that failed
    assert taken(backlog) == ["failed", "a", "b"]


@virtually
async def test_on_ready_is_called_when_an_item_is_ready():
    backlog, said = Backlog(10), []
    backlog.on_ready = lambda: said.append(backlog.ready)
    backlog.offer([item()])
    backlog.requeue(item(), 5.0)
    assert said == [1]
    await at(5.0)
    assert said == [1, 2]


@virtually
async def test_waiting_retries_can_be_observed():
    backlog = Backlog(10)
    assert (backlog.waiting, backlog.next_due_s()) == (0, None)
    backlog.requeue(item(), 60.0)
    backlog.requeue(item(), 40.0)
    await at(10.0)
    assert (backlog.waiting, backlog.next_due_s()) == (2, 30.0)
    await at(50.0)
    assert (backlog.waiting, backlog.next_due_s()) == (1, 10.0)
    await at(70.0)
    assert (backlog.waiting, backlog.next_due_s()) == (0, None)


def test_a_retry_due_almost_immediately_can_be_observed_on_any_event_loop():
    async def watched():
        backlog = Backlog(1)
        await backlog.enter(1)
        backlog.requeue(item(), 0.0001)
        return backlog.next_due_s()

    for new_loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert 0.0 <= runner.run(watched()) < 0.001


@virtually
async def test_a_full_backlog_admits_no_item_until_places_are_freed():
    backlog = Backlog(2)
    assert await backlog.enter(2) == 2
    entering = asyncio.create_task(backlog.enter(3))
    await quiet()
    assert (backlog.open, entering.done()) == (2, False)
    backlog.release(1)
    assert await entering == 1
    assert backlog.open == 2


@virtually
async def test_a_block_enters_as_far_as_there_are_places():
    backlog = Backlog(10)
    assert [await backlog.enter(7), await backlog.enter(7)] == [7, 3]
    backlog.release(10)
    assert [await backlog.enter(7), backlog.open] == [7, 7]


@virtually
async def test_an_item_that_waits_for_a_retry_keeps_its_place():
    backlog = Backlog(1)
    await backlog.enter(1)
    backlog.requeue(item(), 60.0)
    entering = asyncio.create_task(backlog.enter(1))
    await at(120.0)
    assert not entering.done()
    backlog.release(1)
    await entering


@virtually
async def test_after_closing_no_retry_becomes_due():
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    backlog = Backlog(10)
    backlog.requeue(item(), 1.0)
    backlog.close()
    assert (backlog.waiting, backlog.next_due_s()) == (0, None)
    await at(3600.0)
    assert backlog.ready == 0
    assert faults == []
