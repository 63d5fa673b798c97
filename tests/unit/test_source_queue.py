"""How outages of a queue are waited for, and when a silence is its end."""

import asyncio

import pytest
from support.virtual import virtually

from cxai.errors import InputBrokenError
from cxai.sources.queue import Outage, RefusedError, Silence, UnreachableError


class Queue:
    """Fails `times` times with `error`, then answers. `asked` has the time of each attempt."""

    def __init__(self, times, error=UnreachableError):
        self.asked = []
        self.events = []
        self._times = times
        self._error = error

    def notice(self, event, **values):
        self.events.append((event, values))

    async def answer(self):
        self.asked.append(asyncio.get_running_loop().time())
        if len(self.asked) <= self._times:
            raise self._error("connection refused")
        return "messages"


@virtually
async def test_an_outage_is_outlasted_and_named_once_when_it_begins_and_when_it_is_over():
    queue = Queue(20)
    assert await Outage("redis://h/0/s", 600.0, queue.notice).outlast(queue.answer) == "messages"
    (begun, began), (over, ended) = queue.events
    assert (begun, began["reason"]) == ("queue_unreachable", "connection refused")
    assert (over, ended["queue"]) == ("queue_reachable", "redis://h/0/s")
    assert 30 < ended["after_s"] < 100


@virtually
async def test_the_waits_grow_and_are_bounded():
    queue = Queue(40)
    await Outage("q", 600.0, queue.notice).outlast(queue.answer)
    waits = [after - before for before, after in zip(queue.asked, queue.asked[1:], strict=False)]
    assert waits[0] < 0.3
    assert max(waits) <= 5.0
    assert min(waits[20:]) >= 2.5


@virtually
async def test_an_outage_that_lasts_longer_than_the_patience_breaks_the_input():
    queue = Queue(10_000)
    outage = Outage("q", 600.0, queue.notice)
    with pytest.raises(InputBrokenError, match=r"q can't be read on: .* 60\d s \(connection ref"):
        await outage.outlast(queue.answer)
    attempts = len(queue.asked)
    with pytest.raises(InputBrokenError):  # the patience is one, whatever is attempted meanwhile
        await outage.outlast(queue.answer)
    assert len(queue.asked) == attempts + 1


@virtually
async def test_each_outage_has_the_whole_patience():
    outage = Outage("q", 20.0, Queue(0).notice)
    for _ in range(5):
        await outage.outlast(Queue(5).answer)
        await asyncio.sleep(15)


@virtually
async def test_what_is_refused_is_not_waited_for():
    queue = Queue(1, RefusedError)
    with pytest.raises(InputBrokenError, match="q can't be read on: connection refused"):
        await Outage("q", 600.0, queue.notice).outlast(queue.answer)
    assert len(queue.asked) == 1


@virtually
async def test_a_silence_counts_from_what_came_last():
    silence = Silence(10.0)
    await asyncio.sleep(8)
    assert (silence.left_s, silence.lasted_s) == (2.0, 8.0)
    silence.restart()
    await asyncio.sleep(11)
    assert silence.left_s == -1.0


@virtually
async def test_without_a_bound_a_silence_is_never_the_end():
    silence = Silence(None)
    await asyncio.sleep(1_000_000)
    assert silence.left_s > 1_000_000
