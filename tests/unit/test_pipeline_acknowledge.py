"""A source is told what is settled for good: never earlier, and whatever way it was settled."""

import asyncio

import pytest
from support.doubles import ABSENT, FAULTY, MemoryLedger, QueueSource, entries, invalid
from support.run import SIGTERM, Run
from support.virtual import virtually

from cxai.core.bounds import Bounds
from cxai.errors import CommitError, InputBrokenError, StoppedError
from cxai.policy.verdict import Verdict


@virtually
async def test_everything_that_has_a_verdict_is_acknowledged():
    queue = [*entries("a", "b", "a", "b"), *invalid("?")]
    run = await Run(source=QueueSource(queue)).to_the_end()
    assert (run.tally.ids, run.tally.duplicates, run.tally.invalid) == (2, 2, 1)
    assert [entry.id for entry in queue] == ["a", "b"]  # these came twice: the next run drops them
    await Run(source=QueueSource(queue), ledger=MemoryLedger(run.ledger.disk)).to_the_end()
    assert queue == []


@virtually
async def test_a_message_that_comes_again_is_not_acknowledged_before_its_commit():
    queue, ledger = entries("a", "b", "a", "a"), MemoryLedger()
    ledger.gate.clear()
    run = Run(source=QueueSource(queue), ledger=ledger)
    task = run.start()
    await asyncio.sleep(60)
    assert (run.tally.duplicates, len(queue)) == (2, 4)
    ledger.gate.set()
    await task


@virtually
async def test_what_an_earlier_run_has_settled_is_acknowledged_without_a_request():
    ledger = MemoryLedger()
    ledger.disk.verdicts = {"a": Verdict.OK, "b": Verdict.NOT_FOUND}
    queue = entries("a", "b")
    run = await Run(source=QueueSource(queue), ledger=ledger).to_the_end()
    assert (run.fetcher.calls, queue) == ([], [])


@virtually
async def test_what_the_next_run_retries_stays_in_the_queue():
    queue, ledger = entries("a", "b", "c"), MemoryLedger()
    script = {"b": [FAULTY] * 3, "c": [ABSENT, ABSENT]}
    await Run(source=QueueSource(queue), ledger=ledger, script=script).to_the_end()
    assert [entry.id for entry in queue] == ["b"]
    again = await Run(source=QueueSource(queue), ledger=MemoryLedger(ledger.disk)).to_the_end()
    assert (again.verdict("b"), queue) == (Verdict.OK, [])


@virtually
async def test_nothing_is_acknowledged_before_its_commit_has_ended():
    queue, ledger = entries("a"), MemoryLedger()
    ledger.gate.clear()
    run = Run(source=QueueSource(queue), ledger=ledger)
    task = run.start()
    await asyncio.sleep(60)
    assert (len(run.fetcher.calls), len(queue)) == (1, 1)
    ledger.gate.set()
    await task
    assert queue == []


@virtually
async def test_what_was_not_committed_is_delivered_again_and_written_once():
    queue, ledger = entries(*"abcdefgh"), MemoryLedger(fails_at=2)
    run = Run(source=QueueSource(queue), ledger=ledger, bounds=Bounds(batch=4, in_flight=1))
    with pytest.raises(CommitError):
        await run.pipeline.run()
    assert len(queue) == 4
    again = Run(source=QueueSource(queue), ledger=MemoryLedger(ledger.disk))
    await again.to_the_end()
    assert queue == []
    assert len(again.lines("records")) == 8


@virtually
async def test_what_a_stopped_run_still_commits_is_acknowledged():
    queue = entries("a", "b")
    run = Run(source=QueueSource(queue, is_endless=True), script={}, latency_s=20.0)
    task = run.start()
    await asyncio.sleep(10)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await task
    assert (run.tally.now.total(), queue) == (2, [])


class Unreachable(QueueSource):
    async def acknowledge(self, entries):  # noqa: ARG002 - the port's signature
        raise InputBrokenError("The queue can't be reached.")


@virtually
async def test_a_source_that_takes_no_acknowledgement_loses_nothing_and_is_named_at_the_end():
    run = Run(source=Unreachable(entries("a", "b")))
    with pytest.raises(InputBrokenError, match="can't be reached"):
        await run.pipeline.run()
    assert (run.verdict("a"), run.verdict("b")) == (Verdict.OK, Verdict.OK)
