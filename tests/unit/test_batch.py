"""When a batch of outcomes is due for a commit."""

import asyncio

import pytest
from support.doubles import entries
from support.virtual import START_S, at, quiet, virtually

from cxai.core.batch import Batch
from cxai.core.entry import Outcome
from cxai.policy.verdict import Verdict

MUCH = 1 << 40


def outcome(name="a", size_bytes=1):
    (entry,) = entries(name)
    return Outcome(entry, Verdict.OK, 1, {"records": b"x" * size_bytes})


def names(outcomes):
    return [outcome.entry.id for outcome in outcomes]


def now():
    return asyncio.get_running_loop().time() - START_S


@virtually
async def test_a_full_batch_is_due_immediately():
    batch = Batch(3, MUCH, 60.0)
    for name in "abc":
        batch.add(outcome(name))
    assert names(await batch.take()) == ["a", "b", "c"]
    assert now() == 0.0


@virtually
async def test_a_batch_of_size_bytes_is_due_immediately():
    batch = Batch(100, 10, 60.0)
    batch.add(outcome("a", 4))
    batch.add(outcome("b", 6))
    assert names(await batch.take()) == ["a", "b"]
    assert now() == 0.0


@virtually
async def test_bytes_are_those_of_all_part_sets():
    batch = Batch(100, 10, 60.0)
    (entry,) = entries("a")
    batch.add(Outcome(entry, Verdict.OK, 1, {"scores": b"12345", "segments": b"12345"}))
    await batch.take()
    assert now() == 0.0


@virtually
async def test_an_incomplete_batch_is_due_when_its_first_outcome_is_old_enough():
    batch = Batch(100, MUCH, 2.0)
    taking = asyncio.create_task(batch.take())
    await at(5.0)
    batch.add(outcome("a"))
    await at(6.5)
    batch.add(outcome("b"))
    assert names(await taking) == ["a", "b"]
    assert now() == 7.0


@virtually
async def test_the_age_starts_again_after_each_take():
    batch = Batch(3, MUCH, 2.0)
    batch.add(outcome("a"))
    await at(1.0)
    batch.add(outcome("b"))
    await at(1.5)
    batch.add(outcome("c"))
    await batch.take()
    batch.add(outcome("d"))
    assert names(await batch.take()) == ["d"]
    assert now() == 3.5


@virtually
async def test_outcomes_added_during_a_commit_are_due_when_old_enough():
    batch = Batch(100, MUCH, 2.0)
    batch.add(outcome("a"))
    await batch.take()
    batch.add(outcome("b"))
    await at(60.0)  # a slow commit
    assert names(await batch.take()) == ["b"]
    assert now() == 60.0


@virtually
async def test_the_first_batch_is_due_soon_and_each_later_one_after_twice_the_time():
    batch = Batch(100, MUCH, 1.0, first_age_s=0.25)
    taken_at = []
    for name in "abcde":
        batch.add(outcome(name))
        await batch.take()
        taken_at.append(now())
    assert taken_at == [0.25, 0.75, 1.75, 2.75, 3.75]


@virtually
async def test_a_first_batch_waits_no_longer_than_the_others():
    batch = Batch(100, MUCH, 0.01, first_age_s=0.25)
    batch.add(outcome("a"))
    await batch.take()
    assert now() == pytest.approx(0.01)


@virtually
async def test_full_batches_count_among_the_first():
    batch = Batch(2, MUCH, 1.0, first_age_s=0.5)
    for name in "ab":
        batch.add(outcome(name))
    await batch.take()
    batch.add(outcome("c"))
    await batch.take()
    assert now() == 1.0


@virtually
async def test_an_empty_batch_is_never_due():
    batch = Batch(1, MUCH, 1.0)
    batch.add(outcome("a"))
    await batch.take()
    taking = asyncio.create_task(batch.take())
    await at(3600.0)
    assert not taking.done()
    batch.close()
    assert await taking == []


@virtually
async def test_flushing_makes_outcomes_due_immediately_and_more_may_follow():
    batch = Batch(100, MUCH, 60.0)
    batch.add(outcome("a"))
    batch.flush()
    assert names(await batch.take()) == ["a"]
    assert now() == 0.0
    batch.add(outcome("b"))
    assert names(await batch.take()) == ["b"]
    assert now() == 60.0


@virtually
async def test_flushing_nothing_makes_nothing_due():
    batch = Batch(100, MUCH, 60.0)
    batch.flush()
    batch.add(outcome("a"))
    await batch.take()
    assert now() == 60.0


@virtually
async def test_closing_makes_the_rest_due_and_ends_the_batches():
    batch = Batch(100, MUCH, 60.0)
    batch.add(outcome("a"))
    batch.close()
    assert names(await batch.take()) == ["a"]
    assert await batch.take() == []
    assert now() == 0.0


@virtually
async def test_closing_wakes_a_waiting_take():
    batch = Batch(100, MUCH, 60.0)
    taking = asyncio.create_task(batch.take())
    await quiet()
    batch.close()
    assert await taking == []


@pytest.mark.parametrize(
    ("size", "size_bytes"), [(2, MUCH), (100, 2)], ids=["by number", "by bytes"]
)
@virtually
async def test_a_batch_has_space_for_twice_its_size(size, size_bytes):
    batch = Batch(size, size_bytes, 60.0)
    for hour in (1, 2):
        for name in "abc":
            batch.add(outcome(name))
            await batch.space()
        batch.add(outcome("d"))
        waiting = [asyncio.create_task(batch.space()) for _ in range(2)]
        await at(hour * 3600.0)
        assert not any(task.done() for task in waiting)
        assert names(await batch.take()) == ["a", "b", "c", "d"]
        await asyncio.gather(*waiting)
