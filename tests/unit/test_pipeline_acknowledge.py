"""A source is told what is settled for good: never earlier, and whatever way it was settled."""

import asyncio
from dataclasses import replace

import pytest
from support.doubles import ABSENT, FAULTY, MemoryLedger, QueueSource, entries, invalid
from support.run import SIGTERM, Run
from support.virtual import virtually

from cxai.core.bounds import Bounds
from cxai.errors import CommitError, InputBrokenError, StoppedError
from cxai.policy.verdict import OPEN_AGAIN, Verdict


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


# --- delivered again, while the first delivery is on its way, or behind it ---


class Redelivering(QueueSource):
    """Delivers each message that is left so many times, as other lines, and then waits."""

    def __init__(self, messages, times, after_s):
        super().__init__(messages, is_endless=True)
        self.acknowledged = 0
        self._times = times
        self._after_s = after_s

    async def batches(self):
        delivered = list(self.messages)
        for number in range(self._times):
            yield [replace(item, line=item.line + 1_000 * number) for item in delivered]
            await asyncio.sleep(self._after_s)
        await asyncio.get_running_loop().create_future()

    async def acknowledge(self, entries):
        self.acknowledged += len(entries)
        await super().acknowledge([replace(one, line=one.line % 1_000) for one in entries])


async def stopped_after(seconds, run):
    task = run.start()
    await asyncio.sleep(seconds)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await task


@virtually
async def test_a_message_that_comes_again_after_its_commit_is_acknowledged_in_an_endless_run():
    source = Redelivering([*entries("a", "b"), *invalid("?")], times=3, after_s=30.0)
    await stopped_after(200, Run(source=source))
    assert (source.messages, source.acknowledged) == ([], 9)


@pytest.mark.parametrize("after_s", [0.0, 30.0, 900.0])
@virtually
async def test_a_message_that_comes_again_stays_in_the_queue_if_the_next_run_retries_it(after_s):
    source = Redelivering(entries("a", "b"), times=2, after_s=after_s)
    run = Run(source=source, script={"b": [FAULTY] * 3})
    await stopped_after(2_000, run)
    assert run.verdict("b") in OPEN_AGAIN
    assert [entry.id for entry in source.messages] == ["b"]


@virtually
async def test_a_message_that_comes_again_stays_in_the_queue_if_its_run_is_stopped_before():
    source = Redelivering(entries("a", "b"), times=2, after_s=1.0)
    await stopped_after(10, Run(source=source, script={}, latency_s=1_000.0))
    assert (len(source.messages), source.acknowledged) == (2, 0)
