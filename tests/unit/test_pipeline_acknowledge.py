"""An entry is acknowledged to its queue as soon as the ledger has it, and never earlier."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from support.defaults import pipeline_settings
from support.doubles import (
    ABSENT,
    FAULTY,
    LATENCY_S,
    OK,
    Disk,
    MemoryLedger,
    QueueSource,
    entries,
    invalid,
)
from support.run import SIGTERM, Run
from support.virtual import START_S, virtually

from cxai.errors import CommitError, InputBrokenError, StoppedError
from cxai.policy.verdict import Verdict


def ids_of(entries):
    return [entry.id for entry in entries]


def of_queue(disk=None, **how):
    """Return the ledger of the next run over a queue."""
    return MemoryLedger(disk, is_queue=True, **how)


async def stopped_after(seconds, run):
    task = run.start()
    await asyncio.sleep(seconds)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await task
    return run


@virtually
async def test_a_queue_is_empty_once_everything_has_its_verdict():
    queue = [*entries("a", "b", "a", "b"), *invalid("?")]
    run = await Run(source=QueueSource(queue)).to_the_end()
    assert (run.tally.ids, run.tally.duplicates, run.tally.invalid) == (2, 2, 1)
    assert (queue, run.ledger.disk.inbox) == ([], {})


class WatchedLedger(MemoryLedger):
    """Has a note, for each entry that was admitted, of whether the queue still had it."""

    def __init__(self, queue):
        super().__init__(is_queue=True)
        self.had_it = []
        self._queue = queue

    async def admit(self, block):
        admission = await super().admit(block)
        self.had_it += [entry in self._queue for entry in block]
        return admission


@virtually
async def test_nothing_is_acknowledged_before_the_ledger_has_it_and_all_is_once_it_has():
    queue = entries(*"abc")
    ledger = WatchedLedger(queue)
    run = Run(source=QueueSource(queue), ledger=ledger, script={}, latency_s=1_000.0)
    task = run.start()
    await asyncio.sleep(1)
    assert (ledger.had_it, queue, ids_of(ledger.disk.inbox.values())) == (
        [True] * 3,
        [],
        ["a", "b", "c"],
    )
    await task
    assert ledger.disk.inbox == {}


@virtually
async def test_what_an_earlier_run_has_settled_is_acknowledged_without_a_request():
    ledger = of_queue(Disk({"a": Verdict.OK, "b": Verdict.NOT_FOUND}))
    queue = entries("a", "b")
    run = await Run(source=QueueSource(queue), ledger=ledger).to_the_end()
    assert (run.fetcher.calls, queue, run.tally.settled_before) == ([], [], 2)


@pytest.mark.parametrize("is_queue", [True, False])
@virtually
async def test_what_the_next_run_retries_stays_in_the_inbox_for_it(is_queue):
    queue, ledger = entries("a", "b", "c"), of_queue()
    script = {"b": [FAULTY] * 3, "c": [ABSENT, ABSENT]}
    await Run(source=QueueSource(queue), ledger=ledger, script=script).to_the_end()
    assert (queue, ids_of(ledger.disk.inbox.values())) == ([], ["b"])
    again = Run(ledger=MemoryLedger(ledger.disk, is_queue=is_queue))
    await again.to_the_end()
    assert (again.verdict("b"), ledger.disk.inbox) == (Verdict.OK, {})
    assert (again.tally.lines, again.tally.ids, again.tally.left_over) == (1, 1, 1)


@virtually
async def test_what_was_left_over_comes_before_what_the_queue_has():
    disk = Disk()
    run = Run(source=QueueSource(entries("z", "a")), ledger=of_queue(disk), latency_s=1_000.0)
    await stopped_after(10, run)
    again = Run(source=QueueSource(entries("m")), ledger=of_queue(disk))
    await again.to_the_end()
    assert [call.id for call in again.fetcher.calls] == ["z", "a", "m"]


@virtually
async def test_an_id_in_both_inbox_and_file_is_requested_and_counted_once():
    disk = Disk()
    run = Run(source=QueueSource(entries("a", "b")), ledger=of_queue(disk), latency_s=1_000.0)
    await stopped_after(10, run)
    again = await Run(entries("b", "c"), ledger=MemoryLedger(disk)).to_the_end()
    assert sorted(call.id for call in again.fetcher.calls) == ["a", "b", "c"]
    assert (again.tally.lines, again.tally.ids, again.tally.duplicates) == (4, 3, 1)


@virtually
async def test_what_was_not_committed_is_taken_from_the_inbox_and_written_once():
    queue, ledger = entries(*"abcdefgh"), of_queue(fails_at=2)
    run = Run(
        source=QueueSource(queue), ledger=ledger, bounds=pipeline_settings(batch=4, in_flight=1)
    )
    with pytest.raises(CommitError):
        await run.pipeline.run()
    assert (queue, len(ledger.disk.inbox)) == ([], 4)
    again = Run(source=QueueSource(queue), ledger=of_queue(ledger.disk))
    await again.to_the_end()
    assert len(again.lines("records")) == 8


@virtually
async def test_a_stopped_run_commits_its_replies_and_leaves_the_rest_in_the_inbox():
    queue = entries("a", "b", "c")
    run = Run(
        source=QueueSource(queue, is_endless=True),
        bounds=pipeline_settings(in_flight=2),
        latency_s=20.0,
    )
    await stopped_after(10, run)
    assert (run.tally.now.total(), run.tally.open, queue) == (2, 1, [])
    assert ids_of(run.ledger.disk.inbox.values()) == ["c"]


class Unreachable(QueueSource):
    async def acknowledge(self, entries):  # noqa: ARG002 - the port's signature
        raise InputBrokenError("The queue can't be reached.")


@virtually
async def test_a_source_that_fails_to_acknowledge_loses_nothing_and_is_named_at_the_end():
    queue, ledger = entries("a", "b"), of_queue()
    run = Run(source=Unreachable(queue), ledger=ledger)
    with pytest.raises(InputBrokenError, match="can't be reached"):
        await run.pipeline.run()
    assert (run.verdict("a"), run.verdict("b"), len(queue)) == (Verdict.OK, Verdict.OK, 2)
    again = await Run(source=QueueSource(queue), ledger=of_queue(ledger.disk)).to_the_end()
    assert (again.fetcher.calls, queue) == ([], [])


@virtually
async def test_a_source_that_fails_to_acknowledge_is_read_no_further():
    queue = entries(*(f"n{number}" for number in range(25)))
    run = Run(source=Unreachable(queue, is_endless=True), ledger=of_queue())
    with pytest.raises(InputBrokenError, match="can't be reached"):
        await run.pipeline.run()
    assert (run.tally.ids, run.tally.verdicts[Verdict.OK]) == (10, 10)  # those of the first batch


# --- delivered again, while the first delivery is on its way, or behind it ---


class Redelivering(QueueSource):
    """Delivers all its messages so many times, as other lines each time, and then waits."""

    def __init__(self, messages, times, after_s):
        super().__init__(messages)
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


def failing_for(seconds):
    """Return the script of an ID that is answered only after so many seconds."""
    return lambda call: FAULTY if call.at < START_S + seconds else OK


@pytest.mark.parametrize("after_s", [0.0, 30.0, 900.0])
@virtually
async def test_a_redelivered_message_is_a_duplicate_before_and_after_its_commit(after_s):
    source = Redelivering([*entries("a", "b"), *invalid("?")], times=3, after_s=after_s)
    run = await stopped_after(3_000, Run(source=source))
    assert (source.acknowledged, len(run.fetcher.calls)) == (9, 2)
    assert (run.tally.ids, run.tally.invalid, run.tally.duplicates) == (2, 1, 6)
    assert run.tally.adds_up


@virtually
async def test_a_redelivered_id_is_requested_again_if_its_verdict_was_not_final():
    source = Redelivering(entries("a", "b"), times=3, after_s=900.0)
    run = await stopped_after(5_000, Run(source=source, script={"b": failing_for(900.0)}))
    assert run.verdict("b") is Verdict.OK
    assert run.tally.now == {Verdict.OK: 2, Verdict.EXHAUSTED: 0}
    assert (run.tally.ids, run.tally.duplicates, run.tally.retaken, run.tally.open) == (2, 4, 1, 0)
    assert (run.tally.adds_up, run.ledger.disk.inbox) == (True, {})


@virtually
async def test_a_redelivered_id_is_not_requested_twice_at_a_time():
    source = Redelivering(entries("a", "b", "b"), times=600, after_s=1.0)
    run = Run(source=source, script={"b": lambda _call: FAULTY}, latency_s=8.0)
    await stopped_after(2_000, run)
    asked = sorted(run.fetcher.times("b"))
    assert min(later - earlier for earlier, later in pairwise(asked)) > 8.0
    assert run.verdict("b") is Verdict.EXHAUSTED
    assert run.tally.retaken > 3
    assert run.tally.now == {Verdict.OK: 1, Verdict.EXHAUSTED: 1}
    assert (run.tally.ids, run.tally.duplicates, run.tally.adds_up) == (2, 1_798, True)
    assert list(run.ledger.disk.inbox) == ["b"]


@virtually
async def test_a_redelivered_id_stays_open_if_a_stop_cuts_its_second_request_off():
    source = Redelivering(entries("a", "b"), times=2, after_s=900.0)

    def latency_s(call):
        return LATENCY_S if call.at < START_S + 900 else 10_000.0

    run = Run(source=source, script={"b": failing_for(900.0)}, latency_s=latency_s)
    await stopped_after(905, run)
    assert run.verdict("b") is Verdict.EXHAUSTED
    assert (run.tally.ids, run.tally.retaken, run.tally.open) == (2, 1, 1)
    assert list(run.ledger.disk.inbox) == ["b"]
