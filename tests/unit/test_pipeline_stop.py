"""How a run ends early: what is still asked, what is waited for, and what stays open."""

import asyncio

import pytest
from support.defaults import pipeline_settings
from support.doubles import (
    ABSENT,
    FAULTY,
    LATENCY_S,
    FreeLimiter,
    ListSource,
    MemoryLedger,
    endless,
    entries,
    throttled,
)
from support.run import SIGTERM, Run, now
from support.virtual import VirtualClock, at, quiet, virtually

from cxai.errors import DiskFullError, StopCause, StoppedError, StopRequestedError
from cxai.policy.reply import Reply
from cxai.policy.verdict import Verdict


@virtually
async def test_a_stop_before_the_run_starts_is_not_lost():
    run = Run(entries("a"))
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await run.pipeline.run()
    assert (run.source.read, run.fetcher.calls) == (0, [])


@virtually
async def test_requests_in_flight_have_grace_and_no_new_request_leaves():
    run = Run(
        source=ListSource(endless()),
        latency_s=20.0,
        bounds=pipeline_settings(in_flight=5, grace_s=30.0),
    )
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    read = run.source.read
    with pytest.raises(StoppedError, match="SIGTERM"):
        await running
    assert now() == 20.0
    assert run.tally.verdicts == {Verdict.OK: 5}
    assert (len(run.fetcher.calls), run.source.read, run.source.closed) == (5, read, True)
    assert run.tally.open == run.tally.ids - 5 > 0


@virtually
async def test_requests_that_outlast_the_grace_are_abandoned():
    run = Run(
        entries("quick", "slow"),
        latency_s=lambda call: 3600.0 if call.id == "slow" else 5.0,
        bounds=pipeline_settings(grace_s=30.0),
    )
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await running
    assert now() == 31.0
    assert run.fetcher.abandoned == ["slow"]
    assert (run.verdict("quick"), run.verdict("slow")) == (Verdict.OK, None)


@virtually
async def test_without_grace_a_stop_abandons_requests_immediately():
    run = Run(entries("a"), latency_s=60.0, bounds=pipeline_settings(grace_s=0.0))
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await running
    assert (now(), run.fetcher.abandoned) == (1.0, ["a"])


@pytest.mark.parametrize("answer", [FAULTY, throttled(60.0), ABSENT])
@virtually
async def test_an_id_due_for_a_retry_stays_open_after_a_stop(answer):
    run = Run(entries("a", "b"), script={"a": [answer]}, latency_s=5.0)
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await running
    assert now() == 5.0
    assert (run.verdict("a"), run.verdict("b")) == (None, Verdict.OK)


@virtually
async def test_a_stop_waits_neither_for_retries_nor_for_a_pause():
    run = Run(
        entries(*"abcd"),
        script={"a": [throttled(300.0)], "b": [Reply(500, retry_after_s=300.0)]},
        bounds=pipeline_settings(in_flight=2),
    )
    running = run.start()
    await at(10.0)
    assert run.pipeline.backlog.waiting == 2
    run.pipeline.stop(SIGTERM)
    assert run.pipeline.ending
    with pytest.raises(StoppedError):
        await running
    assert now() == 10.0
    assert run.pipeline.backlog.waiting == 0


@virtually
async def test_a_stop_just_when_a_request_may_leave_holds_it_back():
    class LastMoment(FreeLimiter):
        async def acquire(self, is_wanted):
            may_leave = await super().acquire(is_wanted)
            run.pipeline.stop(SIGTERM)
            return may_leave

    run = Run(entries("a", "b"), limiter=LastMoment(VirtualClock()))
    with pytest.raises(StoppedError):
        await run.pipeline.run()
    assert (run.fetcher.calls, run.tally.requests) == ([], 0)


@virtually
async def test_a_stop_waits_for_the_commit_that_is_under_way():
    run = Run(entries("a"), bounds=pipeline_settings(batch_s=1.0))
    run.ledger.gate.clear()
    running = run.start()
    await at(10.0)
    run.pipeline.stop(SIGTERM)
    await at(60.0)
    assert not running.done()
    run.ledger.gate.set()
    with pytest.raises(StoppedError):
        await running
    assert run.tally.verdicts == {Verdict.OK: 1}


@virtually
async def test_replies_that_wait_for_a_slow_commit_are_kept():
    run = Run(
        entries(*"abcdefghijkl"),  # in the commit, in the batch, and those that have to wait
        latency_s=lambda call: LATENCY_S if call.id in "abcdefgh" else 5.0,
        bounds=pipeline_settings(in_flight=4, batch=1),
    )
    run.ledger.gate.clear()
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    await at(20.0)
    run.ledger.gate.set()
    with pytest.raises(StoppedError):
        await running
    assert run.tally.verdicts == {Verdict.OK: 12}


@virtually
async def test_the_first_reason_to_stop_is_raised():
    run = Run(entries("a"), latency_s=5.0)
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    run.pipeline.stop(StopRequestedError("SIGINT", StopCause.SIGNAL))
    with pytest.raises(StoppedError) as raised:
        await running
    assert raised.value is SIGTERM


@virtually
async def test_a_cancelled_run_leaves_nothing_behind():
    run = Run(source=ListSource(endless()), bounds=pipeline_settings(in_flight=5))
    running = run.start()
    await at(LATENCY_S / 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await quiet()
    assert len(run.fetcher.abandoned) == 5
    assert run.source.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- a full disk ---


def full(**bounds):
    run = Run(entries(*"abc"), bounds=pipeline_settings(disk_patience_s=600.0, **bounds))
    run.ledger.is_full = True
    return run


@virtually
async def test_a_full_disk_is_waited_for_and_every_reply_is_kept():
    run = full()
    running = run.start()
    await at(500.0)
    assert run.pipeline.room.waited_s == pytest.approx(500.0, abs=2.0)
    assert run.tally.settled_now == 0
    run.ledger.is_full = False
    await running
    assert run.pipeline.room.waited_s is None
    assert len(run.fetcher.calls) == 3
    assert run.tally.now == {Verdict.OK: 3}


@virtually
async def test_a_disk_that_stays_full_stops_the_run_and_everything_stays_open():
    run = full()
    with pytest.raises(DiskFullError):
        await run.pipeline.run()
    assert 600.0 <= now() < 610.0
    assert run.tally.open == 3


@virtually
async def test_a_stop_ends_the_wait_for_space_after_one_more_attempt():
    run = full(grace_s=30.0)
    running = run.start()
    await at(100.0)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(DiskFullError):
        await running
    assert now() == 100.0
    assert run.tally.open == 3


@virtually
async def test_a_full_disk_holds_requests_back():
    run = Run(
        source=ListSource(endless()),
        bounds=pipeline_settings(in_flight=5, batch=10, disk_patience_s=600.0),
    )
    run.ledger.is_full = True
    running = run.start()
    await at(60.0)
    asked = len(run.fetcher.calls)
    await at(300.0)
    assert len(run.fetcher.calls) == asked < 50
    run.pipeline.stop(SIGTERM)
    with pytest.raises(DiskFullError):
        await running


@virtually
async def test_a_run_waits_for_space_during_a_look_up():
    class NoRoomFirst(MemoryLedger):
        tries = 0

        async def admit(self, entries):
            self.tries += 1
            if self.tries < 4:
                raise DiskFullError("no room", "the disk quota is used up")
            return await super().admit(entries)

    run = Run(entries("a", "b"), ledger=NoRoomFirst())
    task = run.start()
    await at(3.0)
    assert run.pipeline.room.blocked_by.cause == "the disk quota is used up"
    assert run.pipeline.room.waited_s == pytest.approx(3, abs=0.1)
    await task
    assert run.pipeline.room.waited_s is None
    assert run.verdict("a") == run.verdict("b") == Verdict.OK


@virtually
async def test_a_look_up_on_a_disk_that_stays_full_ends_the_run():
    class NoRoom(MemoryLedger):
        async def admit(self, _entries):
            raise DiskFullError("no room", "the disk is full")

    run = Run(entries("a"), ledger=NoRoom(), bounds=pipeline_settings(disk_patience_s=30))
    with pytest.raises(DiskFullError):
        await run.start()
    assert 30 <= now() <= 33


@virtually
async def test_a_stop_ends_the_wait_for_space_during_a_look_up():
    class NoRoom(MemoryLedger):
        async def admit(self, _entries):
            raise DiskFullError("no room", "the disk is full")

    run = Run(entries("a"), ledger=NoRoom())
    running = run.start()
    await at(100.0)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await running
    assert now() == 100.0
