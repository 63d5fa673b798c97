"""What every ledger promises, over the local one on a real disk and over its double in memory.

What a commit promises is tested for a cluster, too. There the engine decides what to fetch, when
lines are fed (tests/cluster/test_books.py). test_inbox.py has the promises for queues.
"""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import entries, invalid
from support.ledgers import Cluster, LocalDisk, MemoryDisk, left_over, outcome, settle

from cxai.core.entry import IdRule
from cxai.core.ports import Admission
from cxai.errors import CommitError
from cxai.policy.verdict import OPEN_AGAIN, Verdict

WITHOUT_RECORD = [verdict for verdict in Verdict if verdict is not Verdict.OK]


@pytest.fixture(params=["local", "double", "cluster"])
def place(request, tmp_path):
    """Return a place for commits, of any kind of ledger."""
    match request.param:
        case "local":
            return LocalDisk(tmp_path / "export")
        case "double":
            return MemoryDisk()
        case _:
            return Cluster()


async def others_turn():
    """Let all other tasks run until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


# --- admission ---


async def test_new_ids_are_fetched_in_order(disk):
    block = entries("c", "a", "b")
    with disk.ledger() as ledger:
        assert await ledger.admit(block) == Admission(block, 0, {})
        assert await ledger.admit([]) == Admission([], 0, {})


async def test_an_id_repeated_in_the_input_is_a_duplicate(disk):
    a, b, c = entries("a", "b", "c")
    with disk.ledger() as ledger:
        assert await ledger.admit([a, b, a, a]) == Admission([a, b], 2, {})
        assert await ledger.admit([b, c]) == Admission([c], 1, {})


async def test_a_guid_is_the_same_id_in_upper_and_lower_case(disk):
    guid = b"3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    first, again = (IdRule().read(raw, "ids.txt", 1) for raw in (guid, guid.upper()))
    with disk.ledger() as ledger:
        assert await ledger.admit([first, again]) == Admission([first], 1, {})


async def test_an_id_settled_by_this_run_is_a_duplicate(disk):
    (a,) = entries("a")
    with disk.ledger() as ledger:
        await ledger.admit([a])
        await ledger.commit([outcome(a)])
        assert await ledger.admit([a]) == Admission([], 1, {})


async def test_an_id_and_an_invalid_line_with_the_same_text_are_distinct(disk):
    (a,), (odd,) = entries("a"), invalid("a")
    with disk.ledger() as ledger:
        assert await ledger.admit([a, odd, odd]) == Admission([a, odd], 1, {})
        await ledger.commit([outcome(odd, Verdict.INVALID_ID)])
    with disk.ledger() as ledger:
        assert await ledger.admit([a, odd]) == Admission([a], 0, {Verdict.INVALID_ID: 1})


# --- what earlier runs have settled ---


@pytest.mark.parametrize("verdict", Verdict)
async def test_a_verdict_is_final_or_retried_by_the_next_run(disk, verdict):
    (a,) = entries("a")
    await settle(disk, {"a": verdict})
    with disk.ledger() as ledger:
        expected = (
            Admission([a], 0, {}) if verdict in OPEN_AGAIN else Admission([], 0, {verdict: 1})
        )
        assert await ledger.admit([a]) == expected


@pytest.mark.parametrize("verdict", WITHOUT_RECORD)
async def test_any_verdict_without_a_record_is_retried_on_demand(disk, verdict):
    (a,) = entries("a")
    await settle(disk, {"a": verdict})
    with disk.ledger(reopen={verdict}) as ledger:
        assert await ledger.admit([a]) == Admission([a], 0, {})


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.NOT_FOUND, Verdict.EXHAUSTED])
async def test_an_id_with_a_record_never_gets_another_verdict_whatever_is_reopened(disk, verdict):
    (a,) = entries("a")
    await settle(disk, {"a": Verdict.OK})
    with disk.ledger(reopen=set(Verdict)) as ledger:
        assert await ledger.admit([a]) == Admission([], 0, {Verdict.OK: 1})
        with pytest.raises(CommitError):
            await ledger.commit([outcome(a, verdict)])
    assert disk.lines() == [b"a ok"]
    with disk.ledger() as ledger:
        assert (await ledger.admit([a])).settled == {Verdict.OK: 1}


async def test_only_reopened_verdicts_are_retried(disk):
    await settle(disk, {"a": Verdict.REJECTED, "b": Verdict.TOO_LARGE})
    with disk.ledger(reopen={Verdict.REJECTED}) as ledger:
        admission = await ledger.admit(entries("a", "b"))
    assert [entry.id for entry in admission.fresh] == ["a"]
    assert admission.settled == {Verdict.TOO_LARGE: 1}


async def test_settled_ids_are_counted_once_then_as_duplicates(disk):
    await settle(disk, {"a": Verdict.OK, "b": Verdict.OK, "c": Verdict.NOT_FOUND})
    with disk.ledger() as ledger:
        assert await ledger.admit(entries(*"abcabc")) == Admission(
            [], 3, {Verdict.OK: 2, Verdict.NOT_FOUND: 1}
        )


async def test_a_retried_id_has_its_new_verdict_and_both_lines(disk):
    await settle(disk, {"a": Verdict.EXHAUSTED})
    await settle(disk, {"a": Verdict.OK})
    with disk.ledger() as ledger:
        assert await ledger.admit(entries("a")) == Admission([], 0, {Verdict.OK: 1})
    assert disk.lines() == [b"a exhausted", b"a ok"]


async def test_an_id_that_was_not_committed_is_not_settled(disk):
    with disk.ledger() as ledger:
        await ledger.admit(entries("a"))
    with disk.ledger() as ledger:
        assert (await ledger.admit(entries("a"))).fresh == entries("a")


@pytest.mark.parametrize("verdict", WITHOUT_RECORD)
async def test_admission_returns_an_id_with_a_record_and_no_other(disk, verdict):
    a, b, c = entries("a", "b", "c")
    await settle(disk, {"a": verdict, "b": Verdict.OK})
    with disk.ledger() as ledger:
        assert (await ledger.admit([a, c])).answered is None
        assert (await ledger.admit([b])).answered == b
        assert (await ledger.admit([b])).answered is None  # a duplicate


async def test_ids_are_stored_on_disk_only_if_earlier_runs_settled_them(tmp_path):
    disk, kept = LocalDisk(tmp_path / "export"), tmp_path / "export" / ".seen"
    a, b = entries("a", "b")
    with disk.ledger() as ledger:
        assert await ledger.admit([a, b, a]) == Admission([a, b], 1, {})
        await ledger.commit([outcome(a)])
        assert await ledger.admit([a, b]) == Admission([], 2, {})
        assert not kept.exists()
    with disk.ledger() as ledger:
        assert await ledger.admit([a, b]) == Admission([b], 0, {Verdict.OK: 1})
        assert kept.exists()
    assert not kept.exists()


# --- commits ---


async def test_the_next_run_finds_a_commit_with_all_of_its_lines(disk):
    a, b, c = entries("a", "b", "c")
    with disk.ledger() as ledger:
        await ledger.admit([a, b, c])
        await ledger.commit([outcome(a), outcome(b, Verdict.NOT_FOUND)])
        await ledger.commit([outcome(c)])
    with disk.ledger() as ledger:
        admission = await ledger.admit([a, b, c])
    assert admission == Admission([], 0, {Verdict.OK: 2, Verdict.NOT_FOUND: 1})
    assert disk.lines() == [b"a ok", b"b not_found", b"c ok"]


async def test_a_commit_is_all_or_nothing(disk):
    """A second verdict for an ID with a record fails the whole commit."""
    a, b, c = entries("a", "b", "c")
    await settle(disk, {"b": Verdict.OK})
    with disk.ledger() as ledger, pytest.raises(CommitError):
        await ledger.commit([outcome(a), outcome(b, Verdict.REJECTED), outcome(c)])
    assert disk.lines() == [b"b ok"]
    with disk.ledger() as ledger:
        assert await ledger.admit([a, b, c]) == Admission([a, c], 0, {Verdict.OK: 1})


async def test_every_line_of_a_commit_is_written_once(place):
    a, b, c = entries("a", "b", "c")
    with place.ledger() as ledger:
        await ledger.admit([a, b, c])
        await ledger.commit([outcome(a), outcome(b, Verdict.NOT_FOUND)])
        await ledger.commit([outcome(c)])
    assert place.lines() == [b"a ok", b"b not_found", b"c ok"]


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_commit_completes_however_often_the_caller_is_cancelled(place, times):
    (a,) = entries("a")
    with place.ledger() as ledger:
        await ledger.admit([a])
        with place.slow(ledger) as resume:
            committing = asyncio.create_task(ledger.commit([outcome(a)]))
            await others_turn()
            for _ in range(times):
                committing.cancel()
                await others_turn()
            assert not committing.done()
            resume()
            with pytest.raises(asyncio.CancelledError):
                await committing
    assert place.lines() == [b"a ok"]


async def test_other_tasks_run_while_the_disk_is_slow(place):
    (a,) = entries("a")
    with place.ledger() as ledger:
        await ledger.admit([a])
        with place.slow(ledger) as resume:
            committing = asyncio.create_task(ledger.commit([outcome(a)]))
            await others_turn()
            assert not committing.done()
            resume()
            await committing
    assert place.lines() == [b"a ok"]


# --- the double agrees with the local ledger ---

ids = st.sampled_from([f"n{number}" for number in range(6)])
blocks = st.lists(ids, max_size=8)
verdicts = st.sampled_from(Verdict)
# A run: whether its source is a queue, the verdicts of left-over entries, those to reopen, and
# blocks of IDs, each with the verdicts of the fresh ones.
ends_of_a_block = st.lists(st.none() | verdicts, min_size=8, max_size=8)
histories = st.lists(
    st.tuples(
        st.booleans(),
        ends_of_a_block,
        st.sets(st.sampled_from(WITHOUT_RECORD), max_size=2),
        st.lists(st.tuples(blocks, ends_of_a_block)),
    ),
    max_size=4,
)


async def commit_some(ledger, fresh, ends):
    """Commit those of `fresh` that get a verdict."""
    outcomes = [
        outcome(entry, verdict)
        for entry, verdict in zip(fresh, ends, strict=False)
        if verdict is not None
    ]
    if outcomes:
        await ledger.commit(outcomes)


async def live_through(disk, history):
    """Return everything that a disk returned in the course of a history."""
    returned = []
    for is_queue, ends_of_left_over, reopen, steps in history:
        with disk.ledger(reopen=reopen, is_queue=is_queue) as ledger:
            waiting = await left_over(ledger)
            returned.append(waiting)
            await commit_some(ledger, waiting, ends_of_left_over)
            for block, ends in steps:
                admission = await ledger.admit(entries(*block))
                returned.append(admission)
                await commit_some(ledger, admission.fresh, ends)
    return returned, disk.lines()


@settings(max_examples=25, deadline=None)  # a disk takes its time
@given(histories)
def test_the_local_ledger_and_its_double_agree(history):
    with tempfile.TemporaryDirectory() as path:
        local = asyncio.run(live_through(LocalDisk(Path(path) / "export"), history))
    assert local == asyncio.run(live_through(MemoryDisk(), history))
