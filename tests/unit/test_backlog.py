"""The room in which IDs wait for their request, or for the time of their retry."""

import asyncio

from support.doubles import entries
from support.virtual import START_S, at, quiet, virtually

from cxai.core.backlog import Backlog, Inquiry
from cxai.policy.policy import Standing


def inquiry(name="a"):
    (entry,) = entries(name)
    return Inquiry(entry)


async def taken(backlog, count):
    return [(await backlog.take()).entry.id for _ in range(count)]


def now():
    return asyncio.get_running_loop().time() - START_S


@virtually
async def test_new_inquiries_are_asked_in_order():
    backlog = Backlog(10)
    for name in "abc":
        backlog.offer(inquiry(name))
    assert await taken(backlog, 3) == ["a", "b", "c"]


@virtually
async def test_a_retry_goes_before_new_inquiries_when_it_is_due():
    backlog = Backlog(10)
    backlog.offer(inquiry("new"))
    backlog.again(inquiry("soon"), 2.0)
    backlog.again(inquiry("later"), 5.0)
    backlog.again(inquiry("now"), 0.0)
    assert await taken(backlog, 1) == ["now"]
    await at(10.0)
    assert await taken(backlog, 3) == ["soon", "later", "new"]


@virtually
async def test_a_retry_is_not_asked_sooner_than_it_is_due():
    backlog = Backlog(10)
    backlog.again(inquiry(), 3600.0)
    await backlog.take()
    assert now() == 3600.0


@virtually
async def test_who_waits_can_be_watched():
    backlog = Backlog(10)
    assert (backlog.waiting, backlog.next_due_s()) == (0, None)
    backlog.again(inquiry(), 60.0)
    backlog.again(inquiry(), 40.0)
    await at(10.0)
    assert (backlog.waiting, backlog.next_due_s()) == (2, 30.0)
    await at(50.0)
    assert (backlog.waiting, backlog.next_due_s()) == (1, 10.0)
    await at(70.0)
    assert (backlog.waiting, backlog.next_due_s()) == (0, None)


@virtually
async def test_a_full_room_lets_nobody_in_until_places_are_given_back():
    backlog = Backlog(2)
    for _ in range(2):
        await backlog.enter()
    entering = [asyncio.create_task(backlog.enter()) for _ in range(3)]
    await quiet()
    assert (backlog.open, [task.done() for task in entering]) == (2, [False] * 3)
    backlog.release(2)
    await quiet()
    assert (backlog.open, [task.done() for task in entering]) == (2, [True, True, False])
    backlog.release(1)
    await asyncio.gather(*entering)
    assert backlog.open == 2


@virtually
async def test_who_waits_for_a_retry_keeps_its_place():
    backlog = Backlog(1)
    await backlog.enter()
    backlog.again(inquiry(), 60.0)
    entering = asyncio.create_task(backlog.enter())
    await at(120.0)
    assert not entering.done()
    backlog.release(1)
    await entering


@virtually
async def test_what_is_left_at_the_end_is_never_asked():
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    backlog = Backlog(10)
    backlog.again(inquiry(), 1.0)
    taking = asyncio.create_task(backlog.take())
    backlog.close()
    assert (backlog.waiting, backlog.next_due_s()) == (0, None)
    await at(3600.0)
    assert not taking.done()
    assert faults == []
    taking.cancel()


def test_an_inquiry_stands_where_the_policy_has_to_know_it():
    asked = inquiry()
    assert asked.standing(50.0, refusals=0, outage=False, singled_out=False) == Standing(attempts=1)
    asked.attempts, asked.throttled, asked.processed, asked.absent_since = 2, 3, True, 0.0
    assert asked.standing(50.0, refusals=4, outage=False, singled_out=False) == Standing(
        3, throttled=3, waited_s=50.0, processed=True
    )
