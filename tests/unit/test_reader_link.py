"""The connection to a reader that misbehaves."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest
from support.waiting import wait_until

from cxai.policy.reply import Arrival, Endpoint, Record, Reply
from cxai.readers.link import ReaderLink, ReaderLostError
from cxai.readers.wire import MOST_FRAME_BYTES, Answer, Block, Parsed, Ready, framed

AT = datetime(2026, 1, 31, 2, 3, 4, tzinfo=UTC)
BLOCK = [Arrival("0f8fad5b-d9cb-469f-a165-70867728950e", Endpoint.RESULT, Reply(200, b"{}"))]
RECORD = Parsed(record=Record({"records": b"{}\n"}))
ANSWER = framed(Answer(1, [RECORD]))


def frame_of(value):
    return len(value).to_bytes(4, "big") + value


@pytest.fixture
async def connected():
    """Yield a link, and the reader's end of its socket."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, link = await loop.create_unix_connection(ReaderLink, sock=ours)
    with theirs:
        yield link, theirs
        transport.abort()
        await link.lost.wait()


async def reading(link):
    """Send it a block; return the task that waits for the answer."""
    task = asyncio.create_task(link.read(BLOCK, AT, ()))
    await wait_until(lambda: link.waiting, "a pending block")
    return task


async def test_an_answer_may_come_in_pieces_and_two_at_a_time(connected):
    link, reader = connected
    blocks = [await reading(link), await reading(link)]
    answers = ANSWER + framed(Answer(2, [Parsed()]))
    for at in range(len(answers)):
        reader.send(answers[at : at + 1])
        await asyncio.sleep(0)
    assert [await block for block in blocks] == [[RECORD], [Parsed()]]


@pytest.mark.promise(
    "A reader sends anything but a valid answer",
    "it is given up, and nothing that it sent is used",
    group="Readers",
)
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (bytes(4), "sent garbage"),
        ((MOST_FRAME_BYTES + 1).to_bytes(4, "big"), "sent garbage"),
        (b"Traceback (most recent call last):", "sent garbage"),
        (framed(Ready(1)), "sent garbage"),
        (framed({"number": 1, "parsed": [[{"lines": {"records": "text"}}]]}), "sent garbage"),
        (ANSWER[:-1] + b"\xc1", "sent garbage"),
        (ANSWER.replace(b"records", b"record\xff"), "sent garbage"),
        (frame_of(b"\x82\xa4more" + b"\x91" * 100_000), "sent garbage"),
        (framed(Answer(2, [RECORD])), "sent a wrong answer"),
        (framed(Answer(1, [])), "sent a wrong answer"),
        (framed(Answer(1, [RECORD, RECORD])), "sent a wrong answer"),
        (b"", ""),
        (ANSWER[:-1], ""),
    ],
)
async def test_a_reader_that_sends_anything_but_a_valid_answer_is_given_up(connected, sent, reason):
    link, reader = connected
    block = await reading(link)
    reader.sendall(sent)
    reader.shutdown(socket.SHUT_WR)
    with pytest.raises(ReaderLostError):
        await block
    await link.lost.wait()
    assert link.reason == reason
    with pytest.raises(ReaderLostError):  # and gets no other block
        await link.read(BLOCK, AT, ())


async def test_an_answer_without_a_request_is_garbage(connected):
    link, reader = connected
    reader.sendall(ANSWER)
    await link.lost.wait()
    assert link.reason == "sent garbage"


async def test_an_answer_to_a_cancelled_request_is_ignored(connected):
    link, reader = connected
    (await reading(link)).cancel()
    second = await reading(link)
    reader.sendall(ANSWER + framed(Answer(2, [RECORD])))
    assert await second == [RECORD]


def test_a_block_does_not_show_the_tokens_that_it_carries():
    assert "canary" not in repr(Block(1, AT, ("canary",), BLOCK))
