"""Everything is bounded: requests, IDs taken in, outcomes; and when outcomes are committed."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from support.defaults import pipeline_settings
from support.doubles import (
    LATENCY_S,
    OK,
    ListSource,
    MemoryLedger,
    endless,
    entries,
    invalid,
)
from support.plain import PlainReader
from support.run import SIGTERM, Run, now
from support.virtual import START_S, at, virtually

from cxai.core.watchdog import Stage, Watchdog
from cxai.errors import CommitError, StoppedError
from cxai.policy.reply import Reply
from cxai.policy.verdict import Verdict

JUDGED_AT_ONCE = 32


@virtually
async def test_exactly_in_flight_requests_run_while_there_is_work():
    ids = [f"n{number}" for number in range(100)]
    run = await Run(entries(*ids), bounds=pipeline_settings(in_flight=7)).to_the_end()
    assert run.fetcher.most_in_flight == 7
    assert max(run.fetcher.times()) == START_S + 14 * LATENCY_S


@virtually
async def test_an_id_that_waits_for_a_retry_holds_no_requester():
    script = {"a": [Reply(500, retry_after_s=300.0), OK]}
    run = Run(entries(*"abcdefgh"), script=script, bounds=pipeline_settings(in_flight=1))
    running = run.start()
    await at(10.0)
    assert run.tally.verdicts == {Verdict.OK: 7}
    assert (run.pipeline.in_flight, run.pipeline.backlog.waiting) == (0, 1)
    await running
    assert run.verdict("a") is Verdict.OK


@virtually
async def test_the_next_request_leaves_before_the_last_body_is_read():
    sent_before_reading = []

    class Watching(PlainReader):
        def seen(self, *args):
            sent_before_reading.append(len(run.fetcher.calls))
            return super().seen(*args)

    run = Run(entries(*"abcde"), reader=Watching(), bounds=pipeline_settings(in_flight=1))
    await run.to_the_end()
    assert sent_before_reading == [2, 3, 4, 5, 5]


@virtually
async def test_bodies_are_read_in_blocks_between_which_other_tasks_run():
    portions = []
    in_turn = False

    class Watching(PlainReader):
        def seen(self, *args):
            nonlocal in_turn
            if not in_turn:
                in_turn = True
                portions.append(0)
                asyncio.get_running_loop().call_soon(end_turn)
            portions[-1] += 1
            return super().seen(*args)

    def end_turn():
        nonlocal in_turn
        in_turn = False

    ids = [f"n{number}" for number in range(100)]
    await Run(
        entries(*ids), reader=Watching(), bounds=pipeline_settings(in_flight=100)
    ).to_the_end()
    assert portions == [JUDGED_AT_ONCE, JUDGED_AT_ONCE, JUDGED_AT_ONCE, 4]


@virtually
async def test_a_reader_of_several_blocks_gets_full_ones_and_at_most_at_once():
    under_way, blocks = set(), []

    class Slow(PlainReader):
        at_once = 3

        async def read(self, arrived, at):
            under_way.add(number := len(blocks))
            blocks.append((len(arrived), len(under_way)))
            await asyncio.sleep(5.0)
            under_way.discard(number)
            return await super().read(arrived, at)

    ids = [f"n{number}" for number in range(200)]
    await Run(entries(*ids), reader=Slow(), bounds=pipeline_settings(in_flight=100)).to_the_end()
    assert sum(size for size, _ in blocks) == len(ids)
    assert [size for size, _ in blocks[:3]] == [JUDGED_AT_ONCE] * 3
    assert max(at_once for _, at_once in blocks) == Slow.at_once


# --- back-pressure ---


@asynccontextmanager
async def stuck(run):
    """Hold `run` after an hour in which nothing could be committed, then end it."""
    run.ledger.gate.clear()
    running = run.start()
    await at(3600.0)
    yield
    run.pipeline.stop(SIGTERM)
    run.ledger.gate.set()
    with pytest.raises(StoppedError):
        await running


@pytest.mark.parametrize(
    ("bounds", "backlog", "fewest", "most"),
    [
        (pipeline_settings(in_flight=4, batch=100), 50, 50, 50),
        # One commit under way and two more full: what was judged with the last outcome of these,
        # the replies that wait to be judged, and those that wait to be handed over.
        (
            pipeline_settings(in_flight=4, batch=10, batch_s=60),
            5_000,
            30,
            30 + JUDGED_AT_ONCE + 4 + 4,
        ),
        (
            pipeline_settings(in_flight=4, batch_bytes=60, batch_s=60),
            5_000,
            10,
            30 + JUDGED_AT_ONCE + 4 + 4,
        ),
    ],
    ids=["by backlog", "by batch", "by bytes"],
)
@virtually
async def test_a_ledger_that_does_not_commit_holds_back_everything_before_it(
    bounds, backlog, fewest, most
):
    run = Run(source=ListSource(endless(block_of=10)), bounds=bounds, backlog=backlog)
    async with stuck(run):
        assert fewest <= len(run.fetcher.calls) <= most
        assert run.source.read <= backlog + 10
        assert run.pipeline.backlog.open <= backlog
        assert run.tally.now.total() == 0
    assert run.source.closed
    assert run.tally.adds_up


@virtually
async def test_invalid_lines_are_subject_to_back_pressure_as_well():
    lines = ListSource(invalid(f"no id {number}") for number in range(10_000))
    run = Run(source=lines, bounds=pipeline_settings(batch=10))
    async with stuck(run):
        assert 20 <= run.source.read <= 10 + 20  # in the commit under way, and in the batch


# --- commits ---


@virtually
async def test_full_batches_and_the_last_one_are_committed_immediately():
    run = Run(entries(*"abcdefg"), bounds=pipeline_settings(in_flight=1, batch=3, batch_s=5.0))
    await run.to_the_end()
    assert list(map(len, run.ledger.commits)) == [3, 3, 1]
    assert now() == 7 * LATENCY_S  # nothing is left to wait for


@virtually
async def test_a_batch_larger_than_the_backlog_is_committed_when_the_backlog_is_full():
    ids = [f"n{number}" for number in range(20)]
    bounds = pipeline_settings(in_flight=5, batch=100, batch_s=60.0)
    run = await Run(entries(*ids), bounds=bounds, backlog=5).to_the_end()
    assert list(map(len, run.ledger.commits)) == [5, 5, 5, 5]
    assert now() == 4 * LATENCY_S


@virtually
async def test_the_rest_is_committed_immediately_when_the_input_ends():
    class Slow(ListSource):
        async def batches(self):
            yield entries("a")
            await at(10.0)
            yield entries("a")

    run = Run(source=Slow(), bounds=pipeline_settings(batch_s=60.0))
    running = run.start()
    await at(9.0)
    assert run.ledger.commits == []
    await running
    assert (now(), run.tally.duplicates, run.tally.open) == (10.0, 1, 0)


@virtually
async def test_a_small_batch_is_committed_when_it_is_old_enough():
    run = Run(
        entries("a", "b"),
        script={"b": [Reply(500, retry_after_s=60.0), OK]},
        bounds=pipeline_settings(batch=100, batch_s=2.0),
    )
    running = run.start()
    await at(LATENCY_S + 1.9)
    assert run.tally.now.total() == 0
    await at(LATENCY_S + 2.1)
    assert run.tally.now == {Verdict.OK: 1}
    await running


@virtually
async def test_the_first_outcome_is_committed_soon():
    run = Run(
        entries("a", "b"),
        script={"b": [Reply(500, retry_after_s=60.0), OK]},
        bounds=pipeline_settings(batch=100, batch_s=2.0, first_batch_s=0.02),
    )
    running = run.start()
    await at(LATENCY_S + 0.03)
    assert run.tally.now == {Verdict.OK: 1}
    await running


@virtually
async def test_a_verdict_counts_only_when_it_is_committed():
    run = Run(entries("a"))
    run.ledger.gate.clear()
    running = run.start()
    await at(10.0)
    assert (run.tally.open, run.pipeline.backlog.open) == (1, 1)
    run.ledger.gate.set()
    await running
    assert (run.tally.open, run.pipeline.backlog.open) == (0, 0)


@virtually
async def test_a_failed_commit_ends_the_run_immediately_and_none_of_its_batch_counts():
    run = Run(
        source=ListSource(endless()),
        ledger=MemoryLedger(fails_at=3),
        bounds=pipeline_settings(in_flight=5, batch=5),
    )
    with pytest.raises(CommitError):
        await run.pipeline.run()
    assert now() == 3 * LATENCY_S
    assert run.tally.now == {Verdict.OK: 10}
    assert len(run.ledger.disk.verdicts) == 10
    assert len(run.fetcher.abandoned) == 5
    assert run.source.closed
    assert run.tally.adds_up


@virtually
async def test_the_commit_after_a_stop_may_fail_too():
    run = Run(entries("a"), ledger=MemoryLedger(fails_at=1), bounds=pipeline_settings(batch_s=60.0))
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(CommitError):
        await running
    assert (now(), run.tally.open) == (1.0, 1)


@virtually
async def test_a_failed_commit_ends_the_grace_of_a_stopped_run():
    run = Run(
        entries("a", "slow"),
        ledger=MemoryLedger(fails_at=1),
        latency_s=lambda call: 3600.0 if call.id == "slow" else LATENCY_S,
        bounds=pipeline_settings(batch_s=2.0, grace_s=600.0),
    )
    running = run.start()
    await at(1.0)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(CommitError):
        await running
    assert now() == LATENCY_S + 2.0


@virtually
async def test_a_failed_commit_keeps_its_cause():
    class Full(MemoryLedger):
        async def commit(self, outcomes):  # noqa: ARG002 - the port's signature
            raise CommitError("can't write") from OSError(28, "No space left on device")

    with pytest.raises(CommitError) as raised:
        await Run(entries("a"), ledger=Full()).pipeline.run()
    assert isinstance(raised.value.__cause__, OSError)


@virtually
async def test_a_ledger_that_can_not_look_up_ids_ends_the_run():
    class Failing(MemoryLedger):
        async def admit(self, block):  # noqa: ARG002 - the port's signature
            raise CommitError("can't look up")

    with pytest.raises(CommitError):
        await Run(entries("a"), ledger=Failing()).pipeline.run()


# --- what the watchdog sees ---


async def never(*_arguments):
    await asyncio.Event().wait()


class Silent(ListSource):
    async def batches(self):
        await never()
        yield ()


def stuck_at(stage):
    """Return a run of endless IDs that is stuck in one stage of the way."""
    reader = PlainReader()
    run = Run(
        source=Silent() if stage is Stage.INPUT else ListSource(endless()),
        reader=reader,
        bounds=pipeline_settings(in_flight=5, batch=5),
        backlog=20,
    )
    match stage:
        case Stage.COMMIT:
            run.ledger.commit = never
        case Stage.JUDGE:
            reader.read = never
        case Stage.REQUESTS:
            run.fetcher.fetch = never
        case Stage.PACE:
            run.limiter.acquire = never
        case Stage.LOOK_UP:
            run.ledger.admit = never
    return run


@pytest.mark.parametrize("stage", [one for one in Stage if one is not Stage.PROCESS])
@virtually
async def test_the_watchdog_names_the_stage_that_is_stuck(stage):
    run = stuck_at(stage)
    running = run.start()
    dog = Watchdog(60.0, now())
    for second in range(100):
        await at(float(second))
        found = dog.look(run.pipeline.stage_counters, now(), slow_s=0.0)
    assert found.stage is stage
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@virtually
async def test_no_stage_of_a_finished_run_holds_anything():
    run = await Run(entries(*"abc")).to_the_end()
    assert {load.holding for load in run.pipeline.stage_counters.values()} == {0}
