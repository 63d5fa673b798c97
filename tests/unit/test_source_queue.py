"""Waiting out an outage of a queue, and ending after an idle time."""

import asyncio

import pytest
from support.virtual import virtually

from cxai.errors import InputBrokenError, UsageError
from cxai.sources.queue import IdleTimer, Outage, RefusedError, UnreachableError


class Queue:
    """Fails `times` times with `error`, then replies. `asked` has the time of each attempt."""

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
async def test_an_outage_is_retried_and_reported_when_it_begins_and_ends():
    queue = Queue(20)
    assert await Outage("redis://h/0/s", 600.0, queue.notice).retry(queue.answer) == "messages"
    (begun, began), (over, ended) = queue.events
    assert (begun, began["reason"]) == ("queue_unreachable", "connection refused")
    assert (over, ended["queue"]) == ("queue_reachable", "redis://h/0/s")
    assert 30 < ended["after_s"] < 100


@virtually
async def test_the_backoff_grows_up_to_a_bound():
    queue = Queue(40)
    await Outage("q", 600.0, queue.notice).retry(queue.answer)
    waits = [after - before for before, after in zip(queue.asked, queue.asked[1:], strict=False)]
    assert waits[0] < 0.3
    assert max(waits) <= 5.0
    assert min(waits[20:]) >= 2.5


@virtually
async def test_an_outage_may_last_for_hours():
    outage = Outage("q", 1e6, Queue(0).notice)
    assert await outage.retry(Queue(2_000).answer) == "messages"


@virtually
async def test_an_outage_that_lasts_longer_than_the_patience_breaks_the_input():
    queue = Queue(10_000)
    outage = Outage("q", 600.0, queue.notice)
    with pytest.raises(
        InputBrokenError, match=r"q can't be read any more: .* 60\d s \(connection ref"
    ):
        await outage.retry(queue.answer)
    attempts = len(queue.asked)
    with pytest.raises(InputBrokenError):  # all attempts share one patience
        await outage.retry(queue.answer)
    assert len(queue.asked) == attempts + 1


@virtually
async def test_each_outage_has_the_whole_patience():
    outage = Outage("q", 20.0, Queue(0).notice)
    for _ in range(5):
        await outage.retry(Queue(5).answer)
        await asyncio.sleep(15)


@virtually
async def test_a_refusal_is_not_retried():
    queue = Queue(1, RefusedError)
    with pytest.raises(InputBrokenError, match="q can't be read any more: connection refused"):
        await Outage("q", 600.0, queue.notice).retry(queue.answer)
    assert len(queue.asked) == 1


@virtually
async def test_a_refusal_at_the_first_attempt_is_a_usage_error():
    queue = Queue(1, RefusedError)
    with pytest.raises(UsageError, match="q can't be read: connection refused"):
        await Outage("q", 600.0, queue.notice).first(queue.answer)


@virtually
async def test_a_failed_first_attempt_begins_an_outage():
    queue = Queue(1)
    outage = Outage("q", 20.0, queue.notice)
    await outage.first(queue.answer)
    assert [event for event, _ in queue.events] == ["queue_unreachable"]
    await asyncio.sleep(21)
    with pytest.raises(InputBrokenError):
        await outage.retry(Queue(1).answer)


@virtually
async def test_a_first_attempt_without_a_reply_times_out_soon():
    queue = Queue(0)
    begun = asyncio.get_running_loop().time()
    await Outage("q", 600.0, queue.notice).first(asyncio.Event().wait)
    assert asyncio.get_running_loop().time() - begun == 5.0
    assert queue.events[0][1]["reason"] == "no reply"


@virtually
async def test_an_idle_timer_counts_from_its_last_restart():
    idle = IdleTimer(10.0)
    await asyncio.sleep(8)
    assert (idle.left_s, idle.elapsed_s) == (2.0, 8.0)
    idle.restart()
    await asyncio.sleep(11)
    assert idle.left_s == -1.0


@virtually
async def test_an_idle_timer_without_a_bound_never_ends():
    idle = IdleTimer(None)
    await asyncio.sleep(1_000_000)
    assert idle.left_s > 1_000_000
