"""What is old enough is sealed while a run goes, whether or not anything arrives."""

import asyncio

import pytest
from support.doubles import MemoryLedger, QueueSource, entries
from support.run import SIGTERM, Run, now
from support.virtual import virtually

from cxai.errors import CommitError, DiskFullError, StoppedError

FULL = DiskFullError("The disk is full.", "the disk is full")


class SealingLedger(MemoryLedger):
    """A ledger whose `seal_old` returns or raises the given values, in order, and then None.

    `calls` has the time of each call.
    """

    def __init__(self, *ends):
        super().__init__(is_queue=True)
        self.calls = []
        self._ends = list(ends)

    async def seal_old(self):
        self.calls.append(now())
        end = self._ends.pop(0) if self._ends else None
        if isinstance(end, Exception):
            raise end
        return end


def idle(*ends):
    """Return a run over a queue that has nothing to say."""
    source = QueueSource([], is_endless=True)
    return Run(source=source, ledger=SealingLedger(*ends))


async def stopped_after(seconds, run):
    task = run.start()
    await asyncio.sleep(seconds)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await task


@virtually
async def test_old_parts_are_sealed_at_the_intervals_that_the_ledger_returns():
    run = idle(900.0, 30.0, 900.0)
    await stopped_after(1_000, run)
    assert run.ledger.calls == [0.0, 900.0, 930.0]
    assert now() == 1_000.0  # the stop did not wait for the next


@virtually
async def test_a_ledger_without_old_parts_is_called_once():
    run = idle()
    await stopped_after(10_000, run)
    assert run.ledger.calls == [0.0]


@virtually
async def test_a_failure_ends_the_run_immediately():
    run = idle(60.0, CommitError("The disk fails."))
    with pytest.raises(CommitError, match="The disk fails"):
        await run.pipeline.run()
    assert now() == 60.0


@virtually
async def test_a_full_disk_is_waited_for():
    run = idle(60.0, FULL, FULL, 60.0)
    task = run.start()
    await asyncio.sleep(61)
    assert run.pipeline.room.blocked_by is FULL
    await asyncio.sleep(30)
    assert run.pipeline.room.blocked_by is None
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await task
    assert run.ledger.calls == [0.0, 60.0, 62.0, 64.0]


@virtually
async def test_a_failure_while_the_run_stops_is_not_missed():
    class FailingLate(SealingLedger):
        async def seal_old(self):
            await asyncio.sleep(20)
            raise CommitError("The disk fails.")

    run = Run(source=QueueSource(entries("a")), ledger=FailingLate())
    with pytest.raises(CommitError, match="The disk fails"):
        await run.pipeline.run()
