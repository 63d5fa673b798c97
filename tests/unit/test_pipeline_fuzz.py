"""Whatever the API answers, whenever it is stopped: each ID has one verdict, or is open."""

import asyncio
from bisect import bisect_right
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from support.defaults import pipeline_settings
from support.doubles import (
    ABSENT,
    DROPPED,
    FAILED,
    FAULTY,
    FOREIGN_404,
    GARBLED,
    HTML,
    OK,
    PROCESSED,
    REJECTED,
    TOKEN_REFUSED,
    TORN,
    UNDER_WAY,
    Disk,
    ListSource,
    MemoryLedger,
    entries,
    invalid,
    throttled,
)
from support.run import SIGTERM, Run
from support.virtual import START_S, run_virtually

from cxai.core.entry import IgnoredLine
from cxai.errors import CxaiError, InputBrokenError, StopCause, StoppedError
from cxai.policy.reply import Failure, FailureKind, Reply
from cxai.policy.verdict import OPEN_AGAIN, FailureStage, Verdict

REFUSED_CONNECTION = Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, "Connection refused")

answers = st.sampled_from(
    [
        OK,
        ABSENT,
        FAULTY,
        GARBLED,
        HTML,
        TORN,
        DROPPED,
        UNDER_WAY,
        PROCESSED,
        FAILED,
        throttled(),
        throttled(20.0),
        REJECTED,
        FOREIGN_404,
        REFUSED_CONNECTION,
        Reply(400),
        Reply(403, b"html"),
        Reply(204),
        Reply(302),
        Reply(503, retry_after_s=5.0),
    ]
)
refusals = st.sampled_from([TOKEN_REFUSED, Reply(403)])
names = [f"n{number}" for number in range(12)]
items = st.sampled_from(
    [*entries(*names), *invalid("?", "!"), IgnoredLine.BLANK, IgnoredLine.COMMENT]
)
inputs = st.lists(st.lists(items, max_size=10), max_size=5)
all_bounds = st.builds(
    pipeline_settings,
    in_flight=st.integers(1, 4),
    batch=st.integers(1, 4),
    batch_bytes=st.integers(1, 200),
    batch_s=st.floats(0.01, 30.0),
    first_batch_s=st.none() | st.floats(0.01, 30.0),
    grace_s=st.floats(0.0, 30.0),
)


draws = st.floats(0, 1, exclude_max=True)
rooms = st.integers(1, 8)


def scripts(of):
    return st.fixed_dictionaries({name: st.lists(of, max_size=6) for name in names})


def keys_of(blocks):
    return {item.key for block in blocks for item in block if not isinstance(item, IgnoredLine)}


def in_turn(script):
    """Return the script as functions that answer OK once it is used up."""
    left = {name: iter(replies) for name, replies in script.items()}
    return {name: lambda call: next(left[call.id], OK) for name in script}


async def play(
    disk,
    blocks,
    script,
    bounds,
    *,
    backlog=8,
    broken=None,
    stop_s=None,
    fails_at=None,
    draw=0.5,
    moods=None,
):
    """Run on `disk`; return the run and why it ended early, None if it didn't."""
    run = Run(
        source=ListSource(blocks, breaks=broken),
        ledger=MemoryLedger(disk, fails_at=fails_at),
        script=in_turn(script) if moods is None else moody(moods, script),
        bounds=bounds,
        backlog=backlog,
        draw=draw,
    )
    if stop_s is not None:
        asyncio.get_running_loop().call_later(stop_s, run.pipeline.stop, SIGTERM)
    try:
        await run.pipeline.run()
    except CxaiError as why:
        return run, why
    return run, None


def check_accounts(run, disk, before):
    """Hold the tally, the ledger and the lines of a run against each other."""
    committed = [outcome for outcomes in run.ledger.commits for outcome in outcomes]
    verdicts = {outcome.entry.key: outcome.verdict for outcome in committed}
    assert len(verdicts) == len(committed)
    assert disk.verdicts == before | verdicts
    for key in verdicts.keys() & before.keys():
        assert before[key] in OPEN_AGAIN
    assert run.tally.now == Counter(verdicts.values())
    assert run.tally.adds_up
    recorded = [line.split()[0] for line in disk.lines["records"].decode().splitlines()]
    assert sorted(recorded) == sorted(
        key for key, verdict in disk.verdicts.items() if verdict is Verdict.OK
    )


moods = st.lists(st.tuples(st.floats(0.1, 40.0), answers | refusals), max_size=8)


def moody(moods, script):
    """Return a function that gives all IDs one answer for a while, and then follows the script."""
    ends, at_s = [], START_S
    for seconds, _ in moods:
        at_s += seconds
        ends.append(at_s)
    left = in_turn(script)

    def answer(call):
        mood = bisect_right(ends, call.at)
        everybody = moods[mood][1] if mood < len(moods) else OK
        return left[call.id](call) if everybody is OK else everybody

    return dict.fromkeys(names, answer)


runs = settings(max_examples=80, deadline=None)  # whole runs, of any length


@runs
@given(blocks=inputs, script=scripts(answers), bounds=all_bounds, backlog=rooms, draw=draws)
def test_an_undisturbed_run_gives_each_id_its_verdict(blocks, script, bounds, backlog, draw):
    disk = Disk()
    run, why = run_virtually(play(disk, blocks, script, bounds, backlog=backlog, draw=draw))
    if why is None:
        assert run.tally.open == 0
        assert disk.verdicts.keys() == keys_of(blocks)
    else:  # for hours, nothing was answered
        assert (type(why), why.by) == (StoppedError, StopCause.API)
        assert run.tally.open > 0
    assert run.fetcher.most_in_flight <= bounds.in_flight
    check_accounts(run, disk, before={})


@runs
@given(
    blocks=inputs,
    script=scripts(answers | refusals),
    bounds=all_bounds,
    backlog=rooms,
    broken=st.none() | st.just(InputBrokenError("gone")),
    stop_s=st.none() | st.floats(0.0, 200.0),
    fails_at=st.none() | st.integers(1, 5),
    draw=draws,
)
def test_a_run_that_ends_early_leaves_the_rest_open_for_the_next(
    blocks, script, bounds, backlog, broken, stop_s, fails_at, draw
):
    disk = Disk()
    ends = {"broken": broken, "stop_s": stop_s, "fails_at": fails_at, "draw": draw}
    ends["backlog"] = backlog
    run, why = run_virtually(play(disk, blocks, script, bounds, **ends))
    assert why is not None or run.tally.open == 0
    check_accounts(run, disk, before={})

    before = dict(disk.verdicts)
    run, why = run_virtually(play(disk, blocks, {}, bounds))
    assert why is None
    assert run.tally.open == 0
    assert disk.verdicts.keys() == keys_of(blocks)
    check_accounts(run, disk, before)


@runs
@given(blocks=inputs, script=scripts(answers), moods=moods, bounds=all_bounds, draw=draws)
def test_outages_and_limits_lose_and_double_nothing(blocks, script, moods, bounds, draw):
    disk = Disk()
    run, why = run_virtually(play(disk, blocks, script, bounds, draw=draw, moods=moods))
    assert why is not None or run.tally.open == 0
    assert run.fetcher.most_in_flight <= bounds.in_flight
    check_accounts(run, disk, before={})
