"""What every ledger promises for queues: acknowledged entries survive until they are settled."""

import pytest
from support.doubles import entries, invalid
from support.ledgers import LocalDisk, left_over, outcome, settle

from cxai.core.ports import Admission
from cxai.errors import DiskFullError
from cxai.policy.verdict import OPEN_AGAIN, Verdict


async def take_in(disk, *ids):
    """Admit IDs from a queue in a run that is killed then."""
    with disk.ledger(is_queue=True) as ledger:
        await ledger.admit(entries(*ids))


@pytest.mark.parametrize("is_queue", [True, False])
async def test_acknowledged_entries_are_left_over_in_order_until_they_are_settled(disk, is_queue):
    taken = [*entries("c", "a"), *invalid("no id"), *entries("b")]
    with disk.ledger(is_queue=True) as ledger:
        assert await left_over(ledger) == []
        assert await ledger.admit(taken) == Admission(taken, 0, {})
    with disk.ledger(is_queue=is_queue) as ledger:
        found = await left_over(ledger)
        assert found == taken
        assert [entry.invalid for entry in found] == [entry.invalid for entry in taken]
        ends = (Verdict.OK, Verdict.NOT_FOUND, Verdict.INVALID_ID)
        await ledger.commit([outcome(*one) for one in zip(taken, ends, strict=False)])
    with disk.ledger(is_queue=is_queue) as ledger:
        assert await left_over(ledger) == taken[3:]


async def test_left_over_entries_come_in_blocks_of_bounded_size(disk):
    await take_in(disk, *(f"n{number}" for number in range(1_203)))
    with disk.ledger(is_queue=True) as ledger:
        sizes = [len(admission.fresh) async for admission in ledger.left_over()]
    assert sum(sizes) == 1_203
    assert max(sizes) <= 500


async def test_a_verdict_that_is_not_final_leaves_an_entry_in_the_inbox(disk):
    await take_in(disk, "a")
    for verdict in sorted(OPEN_AGAIN):
        with disk.ledger() as ledger:
            (a,) = await left_over(ledger)
            await ledger.commit([outcome(a, verdict)])
    with disk.ledger(is_queue=True) as ledger:
        (a,) = await left_over(ledger)
        await ledger.commit([outcome(a)])
    with disk.ledger() as ledger:
        assert await left_over(ledger) == []


async def test_files_leave_nothing_in_the_inbox(disk):
    await settle(disk, {"a": Verdict.EXHAUSTED})
    with disk.ledger() as ledger:
        await ledger.admit(entries("b"))
    with disk.ledger(is_queue=True) as ledger:
        assert await left_over(ledger) == []


@pytest.mark.parametrize("is_queue", [True, False])
async def test_a_left_over_entry_that_is_delivered_again_is_a_duplicate(disk, is_queue):
    await take_in(disk, "a", "b")
    with disk.ledger(is_queue=is_queue) as ledger:
        await left_over(ledger)
        b, c = entries("b", "c")
        assert await ledger.admit([b, c, b]) == Admission([c], 2, {})


async def test_inbox_and_outcomes_identify_the_duplicates_of_a_queue(disk):
    a, b, again = entries("a", "b", "a")
    await settle(disk, {"b": Verdict.OK})
    with disk.ledger(is_queue=True) as ledger:
        assert await ledger.admit([a, again, b]) == Admission([a], 1, {Verdict.OK: 1})
        assert await ledger.admit([again]) == Admission([], 1, {})
        await ledger.commit([outcome(a, Verdict.NOT_FOUND)])
        assert await ledger.admit([again]) == Admission([], 1, {})
        assert (await ledger.admit([b])).answered == b
    with disk.ledger(is_queue=True) as ledger:
        assert await ledger.admit([again]) == Admission([], 0, {Verdict.NOT_FOUND: 1})


@pytest.mark.parametrize("verdict", sorted(OPEN_AGAIN))
async def test_an_id_that_is_delivered_again_is_fetched_again_if_its_verdict_is_not_final(
    disk, verdict
):
    first, second = entries("a", "a")
    with disk.ledger(is_queue=True) as ledger:
        await ledger.admit([first])
        await ledger.commit([outcome(first, verdict)])
        assert await ledger.admit([second, first]) == Admission(
            [second], 2, {}, retaken={verdict: 1}
        )
        assert await ledger.admit([first]) == Admission([], 1, {})
        await ledger.commit([outcome(second, verdict)])
        assert (await ledger.admit([first])).retaken == {verdict: 1}
        await ledger.commit([outcome(first)])
        assert await ledger.admit([second]) == Admission([], 1, {})


async def test_a_verdict_retried_on_demand_is_retried_once_per_run(disk):
    (a,) = entries("a")
    await settle(disk, {"a": Verdict.NOT_FOUND})
    with disk.ledger(is_queue=True, reopen={Verdict.NOT_FOUND}) as ledger:
        assert (await ledger.admit([a])).fresh == [a]
        await ledger.commit([outcome(a, Verdict.NOT_FOUND)])
        assert await ledger.admit([a]) == Admission([], 1, {})
    with disk.ledger(is_queue=True) as ledger:
        assert await left_over(ledger) == []


async def test_a_retry_on_demand_survives_a_killed_run(disk):
    await settle(disk, {"a": Verdict.NOT_FOUND})
    with disk.ledger(is_queue=True, reopen={Verdict.NOT_FOUND}) as ledger:
        await ledger.admit(entries("a"))
    with disk.ledger() as ledger:
        assert await left_over(ledger) == entries("a")


async def test_an_entry_that_got_a_record_elsewhere_is_no_longer_left_over(disk):
    """By an older version without an inbox, which found the ID in another input."""
    await take_in(disk, "a", "b")
    disk.record_elsewhere("a")
    with disk.ledger() as ledger:
        assert await left_over(ledger) == entries("a", "b")[1:]


# --- the local inbox ---


@pytest.mark.parametrize("is_queue", [True, False])
async def test_a_commit_does_not_search_an_empty_inbox(tmp_path, is_queue):
    disk, statements = LocalDisk(tmp_path / "export"), []
    with disk.ledger(is_queue=is_queue) as ledger:
        assert await left_over(ledger) == []
        fresh = (await ledger.admit(entries("a", "b"))).fresh
        disk.store._database._connection._connection.set_trace_callback(statements.append)
        await ledger.commit([outcome(entry) for entry in fresh])
    assert any("INTO outcome" in statement for statement in statements)
    assert any("inbox" in statement for statement in statements) is is_queue


async def test_admission_to_the_inbox_can_be_repeated_after_a_full_disk(tmp_path):
    disk = LocalDisk(tmp_path / "export")
    block = entries(*(f"n{number}" for number in range(2_000)))
    with disk.ledger(is_queue=True) as ledger:
        database = disk.store._database._connection._connection
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages + 2}")
        for _ in range(2):
            with pytest.raises(DiskFullError, match="database or disk is full"):
                await ledger.admit(block)
        database.execute("PRAGMA max_page_count = 100000")
        assert await ledger.admit(block) == Admission(block, 0, {})
    with disk.ledger(is_queue=True) as ledger:
        assert await left_over(ledger) == block
