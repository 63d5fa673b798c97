"""Readers in their own processes: losing one costs time, never a reply."""

import asyncio
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil
import pytest
from support.bodies import as_body, sample
from support.command import TOKEN
from support.readers import Counted, reader_of, reader_pool, reader_processes
from support.waiting import wait_until

from cxai.policy.reply import Arrival, Endpoint, Reply
from cxai.readers.link import BLOCK_S, ReaderLink
from cxai.readers.pool import EFFECT
from cxai.settings import Settings

AT = datetime(2026, 1, 31, 2, 3, 4, tzinfo=UTC)
BLOCK = [
    Arrival(f"0f8fad5b-d9cb-469f-a165-7086772895{n:02}", Endpoint.RESULT, Reply(200, body))
    for n, body in enumerate([as_body(sample()), b"{}", as_body(sample())])
]


@pytest.fixture
def own():
    """Yield a counting reader in this process."""
    with ThreadPoolExecutor(1) as thread:
        yield Counted(reader_of(thread))


@pytest.fixture
async def expected(own):
    found = await own.read(BLOCK, AT)
    own.replies = 0
    return found


async def started(pool, count=1):
    """Wait until so many readers have started; return the process IDs of those that run."""
    await wait_until(lambda: pool.events.names.count("reader_started") == count, "a reader")
    return reader_processes()


async def frozen_at_work(pool, pid):
    """Stop a reader and give it a block; return the task that waits for it."""
    os.kill(pid, signal.SIGSTOP)
    reading = asyncio.create_task(pool.read(BLOCK, AT))
    await asyncio.sleep(0)
    return reading


# --- lost readers ---


async def test_the_block_of_a_killed_reader_is_read_here_and_another_reader_is_started(
    own, expected
):
    async with reader_pool(own, pauses_s=[0.0]) as pool:
        (first,) = await started(pool)
        assert await pool.read(BLOCK, AT) == expected
        assert own.replies == 0
        reading = await frozen_at_work(pool, first)
        os.kill(first, signal.SIGKILL)
        assert await reading == expected
        assert own.replies == len(BLOCK)
        (second,) = await started(pool, 2)
        assert second != first
        assert await pool.read(BLOCK, AT) == expected
        assert own.replies == len(BLOCK)
        os.kill(second, signal.SIGKILL)  # one more time than it is restarted
        await wait_until(lambda: pool.events.names[-1] == "reader_given_up")
        assert await pool.read(BLOCK, AT) == expected
    assert own.replies == 2 * len(BLOCK)
    assert pool.events[0][1]["pid"] == first  # which also appears in the kernel's log
    lost = {"reader": 1, "reason": "was killed by SIGKILL", "effect": EFFECT}
    assert pool.events[1:2] + pool.events[3:] == [
        ("reader_lost", {**lost, "restart_in_s": 0.0}),
        ("reader_given_up", lost),
    ]


async def test_a_reader_that_has_run_long_enough_has_all_its_restarts_again(own):
    async with reader_pool(own, pauses_s=[0.0], settled_s=0.0) as pool:
        for count in (1, 2):
            (reader,) = await started(pool, count)
            os.kill(reader, signal.SIGKILL)
        await started(pool, 3)
    assert pool.events.names.count("reader_lost") == 2


@pytest.mark.promise(
    "A reader hangs",
    "after 20 s it is killed, and the worker reads its replies itself",
    group="Readers",
)
async def test_a_hung_reader_is_killed_and_its_blocks_are_read_here(own, expected):
    hasty = partial(ReaderLink, block_s=0.2)
    async with reader_pool(own, pauses_s=[], make_link=hasty) as pool:
        (reader,) = await started(pool)
        blocks = [await frozen_at_work(pool, reader), await frozen_at_work(pool, reader)]
        assert [await block for block in blocks] == [expected, expected]
        assert own.replies == 2 * len(BLOCK)
        await wait_until(lambda: "reader_given_up" in pool.events.names)
    assert pool.events[-1] == ("reader_given_up", {"reader": 1, "reason": "hung", "effect": EFFECT})
    assert not psutil.pid_exists(reader)


def test_a_hung_reader_is_detected_within_the_grace_period():
    assert Settings().grace_s > BLOCK_S


async def test_when_all_readers_are_busy_many_replies_are_read_here_and_a_few_wait(own, expected):
    async with reader_pool(own) as pool:
        (reader,) = await started(pool)
        waiting = [await frozen_at_work(pool, reader) for _ in range(3)]
        assert await pool.read(BLOCK * 8, AT) == expected * 8
        assert own.replies == 8 * len(BLOCK)
        os.kill(reader, signal.SIGCONT)
        assert [await block for block in waiting] == [expected] * 3
        assert own.replies == 8 * len(BLOCK)


@pytest.mark.promise(
    "No reader can be started",
    "the worker reads all replies itself; log `reader_given_up`, once for each",
    group="Readers",
)
@pytest.mark.parametrize(
    ("interpreter", "reason"),
    [
        ("", "can't be started: no Python interpreter was found"),
        ("/no/such/python", "can't be started: No such file or directory"),
    ],
    ids=["none", "missing"],
)
async def test_where_no_reader_can_be_started_all_is_read_here_and_logged_once(
    own, expected, monkeypatch, interpreter, reason
):
    monkeypatch.setattr(sys, "executable", interpreter)
    async with reader_pool(own) as pool:
        await wait_until(lambda: pool.events, "an event")
        assert await pool.read(BLOCK, AT) == expected
    assert pool.events == [("reader_given_up", {"reader": 1, "reason": reason, "effect": EFFECT})]


async def test_a_reader_that_exits_while_it_starts_is_restarted(own, expected, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    async with reader_pool(own, pauses_s=[0.0]) as pool:
        await wait_until(lambda: "reader_given_up" in pool.events.names, "the last event")
        assert await pool.read(BLOCK, AT) == expected
    assert pool.events.names == ["reader_lost", "reader_given_up"]
    assert {values["reason"] for _, values in pool.events} == {"exited with code 1"}


# --- start and end ---


class Load:
    """A load that the test sets."""

    share = 0.93

    def __init__(self):
        self.high = False

    def is_high(self):
        return self.high


async def test_readers_that_wait_for_a_high_load_have_no_process_before(own, expected):
    load = Load()
    async with reader_pool(own, load=load, readers=2) as pool:
        assert await pool.read(BLOCK, AT) == expected
        assert reader_processes() == pool.events == []
        load.high = True
        assert await pool.read(BLOCK, AT) == expected  # without waiting for their start
        assert own.replies == 2 * len(BLOCK)
        assert len(await started(pool, 2)) == 2
        load.high = False
        assert await pool.read(BLOCK, AT) == expected
        assert own.replies == 2 * len(BLOCK)
    assert {values["reason"] for _, values in pool.events} == {
        "the event loop was busy 93% of the time"
    }
    assert reader_processes() == []


async def test_closing_waits_for_no_reader_and_leaves_none_behind(own):
    async with reader_pool(own, readers=2) as pool:
        one, other = await started(pool, 2)
        reading = await frozen_at_work(pool, one)
        os.kill(other, signal.SIGSTOP)
        reading.cancel()
    assert not psutil.pid_exists(one)
    assert not psutil.pid_exists(other)


async def test_a_reader_ignores_the_signals_that_stop_a_worker(own, expected):
    async with reader_pool(own) as pool:
        (reader,) = await started(pool)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(reader, number)
        assert await pool.read(BLOCK, AT) == expected
        assert own.replies == 0


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
async def test_no_secret_is_in_the_environment_or_arguments_of_a_reader(own, monkeypatch):
    for name in ("CXAI_API_TOKEN", "CXAI_PROXY", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, TOKEN)
    async with reader_pool(own, secrets=[TOKEN]) as pool:
        (reader,) = await started(pool)
        await pool.read(BLOCK, AT)
        seen = Path(f"/proc/{reader}")
        assert (
            TOKEN.encode() not in (seen / "environ").read_bytes() + (seen / "cmdline").read_bytes()
        )
        limits = (seen / "limits").read_text()
    assert "Max core file size        0                    0" in limits
