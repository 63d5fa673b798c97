"""Rare replies of SQS, over a queue in memory."""

import pytest
from support.defaults import source_options
from support.virtual import virtually

from cxai.core.entry import IdRule
from cxai.errors import InputBrokenError
from cxai.sources.queue import DeniedError, RefusedError
from cxai.sources.sqs import SqsSource
from cxai.sources.sqs_client import Message


class Queue:
    """Gives `replies` of ReceiveMessage in order, then none. Waits take virtual time.

    Deleting a handle of `failing` fails so often. `looks` has the replies of `in_flight`.
    """

    def __init__(self, *replies, failing=None, looks=()):
        self.deleted = []
        self.received = 0
        self._replies = list(replies)
        self._failing = failing or {}
        self._looks = list(looks)

    async def open(self):
        pass

    async def receive(self, wait_s):  # noqa: ARG002 - the port's signature
        self.received += 1
        return self._replies.pop(0) if self._replies else []

    async def delete(self, handles):
        assert 0 < len(handles) <= 10
        failed = [one for one in handles if self._failing.get(one, 0) > 0]
        for one in failed:
            self._failing[one] -= 1
        self.deleted += [one for one in handles if one not in failed]
        return failed

    async def in_flight(self):
        look = self._looks.pop(0) if self._looks else (0, 30.0)
        if isinstance(look, Exception):
            raise look
        return look


def messages(*numbers, delivery=1):
    return [Message(f"m{one}", f"h{one}-{delivery}", f"call-{one}") for one in numbers]


def source_of(queue, noticed=None, until_idle_s=0.0):
    def notice(event, **values):
        noticed.append((event, values))

    rule = IdRule("call-[0-9]+")
    return SqsSource(
        "sqs://ids", queue, source_options(rule, until_idle_s=until_idle_s, notice=notice)
    )


async def taken(source):
    entries = []
    async for batch in source.batches():
        entries += batch
        await source.acknowledge(batch)
    return [entry.id for entry in entries]


@virtually
async def test_messages_are_deleted_by_the_handle_of_their_delivery():
    queue = Queue(messages(1, 2), messages(2, 3, delivery=2))
    assert await taken(source_of(queue)) == ["call-1", "call-2", "call-2", "call-3"]
    assert queue.deleted == ["h1-1", "h2-1", "h2-2", "h3-2"]


@virtually
async def test_a_duplicate_in_one_reply_is_read_once_and_deleted_by_the_later_handle():
    queue = Queue([*messages(1, 2), *messages(1, delivery=2)])
    assert await taken(source_of(queue)) == ["call-1", "call-2"]
    assert queue.deleted == ["h1-2", "h2-1"]


@virtually
async def test_a_failed_deletion_is_retried():
    queue = Queue(messages(1, 2, 3), failing={"h2-1": 2})
    await taken(source_of(queue))
    assert queue.deleted == ["h1-1", "h3-1", "h2-1"]


@virtually
async def test_messages_that_can_not_be_deleted_are_reported_and_redelivered():
    noticed, queue = [], Queue(messages(1, 2), failing={"h2-1": 99})
    await taken(source_of(queue, noticed))
    assert queue.deleted == ["h1-1"]
    assert noticed == [("queue_messages_not_deleted", {"queue": "sqs://ids", "count": 1})]


@virtually
async def test_messages_are_deleted_ten_at_a_time():
    queue = Queue(*(messages(*range(ten, ten + 10)) for ten in (0, 10, 20)))
    source = source_of(queue)
    batches = source.batches()
    entries = [entry for _ in range(3) for entry in await anext(batches)]
    await source.acknowledge(entries[:27])
    assert len(queue.deleted) == 27


@virtually
async def test_the_last_call_comes_after_nothing_is_hidden():
    queue = Queue(looks=[(3, 30.0), (1, 30.0), (0, 30.0)])
    await taken(source_of(queue))
    assert queue.received == 4


@virtually
async def test_a_message_in_the_last_call_continues_the_run():
    queue = Queue([], messages(1), looks=[(0, 30.0), (0, 30.0)])
    assert await taken(source_of(queue)) == ["call-1"]
    assert queue.received == 4


@virtually
async def test_without_permission_to_inspect_the_queue_the_idle_time_is_enough():
    queue = Queue(looks=[DeniedError("no")])
    assert await taken(source_of(queue)) == []


@virtually
async def test_a_queue_that_disappears_at_the_end_is_an_error():
    queue = Queue(looks=[RefusedError("there is no such queue.")])
    with pytest.raises(InputBrokenError, match="there is no such queue"):
        await taken(source_of(queue))
