"""What every ledger promises, over the local one on a real disk and over its double in memory.

What a commit promises holds for a cluster's, too. There the engine decides what is to be done, when
lines are fed (tests/cluster/test_books.py).
"""

import asyncio
import gzip
import sqlite3
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cluster import Worker
from support.doubles import Disk, MemoryLedger, entries, invalid
from support.memory_books import Engine, MemoryBooks
from support.memory_objects import MemoryObjects
from support.store import RUN_ID

from cxai.clock import SystemClock
from cxai.core.entry import IdRule
from cxai.core.events import EventStream
from cxai.core.outcome import Outcome
from cxai.core.ports import Admission
from cxai.errors import CommitError, DiskFullError
from cxai.ledger.committer import Committer
from cxai.ledger.form import ExportForm
from cxai.ledger.local import LocalLedger
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.policy.verdict import OPEN_AGAIN, Verdict
from cxai.resources.cx_ai.layout import LAYOUT
from cxai.resources.options import Shape


class LocalDisk:
    """An output directory, and the ledgers of the runs into it, one after the other."""

    def __init__(self, path):
        self._path = path

    @contextmanager
    def ledger(self, *, reopen=(), is_queue=False):
        form = ExportForm(LAYOUT, Shape.NESTED, Compression.NONE)
        with (
            OutputDirectory(self._path) as directory,
            ThreadPoolExecutor(1) as self._thread,
            Committer(
                directory,
                form,
                SystemClock(),
                part_bytes=1 << 20,
                run_id=RUN_ID,
                notice=EventStream().emit,
                reopen=reopen,
                is_queue=is_queue,
            ) as self.store,
        ):
            yield LocalLedger(self.store, self._thread)

    @contextmanager
    def slow(self, _ledger):
        """Hold all work on the disk until `resume` is called."""
        resume = threading.Event()
        self._thread.submit(resume.wait)
        try:
            yield resume.set
        finally:
            resume.set()

    def record_behind_the_back_of_the_inbox(self, interaction_id):
        with closing(sqlite3.connect(self._path / "ledger.sqlite")) as ledger, ledger:
            ledger.execute("INSERT INTO outcome VALUES (?, 'ok', 1, 1, 1)", (interaction_id,))

    def lines(self):
        """Return all lines, as the next run finds them."""
        with self.ledger():
            parts = sorted(self._path.glob("*.jsonl.open"))
        return sorted(line for part in parts for line in part.read_bytes().splitlines())


class MemoryDisk:
    """The same for the double."""

    def __init__(self):
        self._disk = Disk()

    @contextmanager
    def ledger(self, *, reopen=(), is_queue=False):
        yield MemoryLedger(self._disk, reopen=reopen, is_queue=is_queue)

    @contextmanager
    def slow(self, ledger):
        ledger.gate.clear()
        yield ledger.gate.set

    def record_behind_the_back_of_the_inbox(self, interaction_id):
        self._disk.verdicts[interaction_id] = Verdict.OK

    def lines(self):
        return sorted(line for part in self._disk.lines.values() for line in part.splitlines())


class Cluster:
    """The same for workers of a cluster: what one is to do was fed, and claimed by it."""

    def __init__(self):
        self._engine = Engine()
        self._store = MemoryObjects()

    @contextmanager
    def ledger(self):
        worker = Worker(MemoryBooks(self._engine), self._store)
        admit = worker.ledger.admit

        async def feed_and_admit(block):
            await worker.books.register("a worker")
            self._engine.feed(block)
            for claimed in await worker.books.claim(len(block)):
                worker.holdings.take(claimed)
            return await admit(block)

        worker.ledger.admit = feed_and_admit
        yield worker.ledger

    @contextmanager
    def slow(self, _ledger):
        self._store.gates["put_new"] = resume = asyncio.Event()
        yield resume.set

    def lines(self):
        return sorted(
            line
            for name, (content, _) in self._store.objects.items()
            for line in gzip.decompress(content).splitlines()
            if not name.startswith("_pending/")
        )


WITHOUT_RECORD = [verdict for verdict in Verdict if verdict is not Verdict.OK]


@pytest.fixture(params=["local", "double"])
def disk(request, tmp_path):
    return LocalDisk(tmp_path / "export") if request.param == "local" else MemoryDisk()


@pytest.fixture(params=["local", "double", "cluster"])
def place(request, tmp_path):
    """Return where commits go, of any ledger."""
    match request.param:
        case "local":
            return LocalDisk(tmp_path / "export")
        case "double":
            return MemoryDisk()
        case _:
            return Cluster()


def outcome(entry, verdict=Verdict.OK):
    part_set = "records" if verdict is Verdict.OK else "failures"
    return Outcome(entry, verdict, 1, {part_set: f"{entry.id} {verdict}\n".encode()})


async def others_turn():
    """Let all other tasks do what they can do without waiting."""
    for _ in range(10):
        await asyncio.sleep(0)


async def settle(disk, verdicts, *, reopen=()):
    """Commit verdicts by ID in a run of their own."""
    with disk.ledger(reopen=reopen) as ledger:
        admission = await ledger.admit(entries(*verdicts))
        await ledger.commit([outcome(entry, verdicts[entry.id]) for entry in admission.fresh])


# --- what is to be done ---


async def test_new_ids_are_to_be_done_in_order(disk):
    block = entries("c", "a", "b")
    with disk.ledger() as ledger:
        assert await ledger.admit(block) == Admission(block, 0, {})
        assert await ledger.admit([]) == Admission([], 0, {})


async def test_an_id_that_stands_in_the_input_again_is_a_duplicate(disk):
    a, b, c = entries("a", "b", "c")
    with disk.ledger() as ledger:
        assert await ledger.admit([a, b, a, a]) == Admission([a, b], 2, {})
        assert await ledger.admit([b, c]) == Admission([c], 1, {})


async def test_a_guid_is_one_in_upper_and_lower_case(disk):
    guid = b"3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    first, again = (IdRule().read(raw, "ids.txt", 1) for raw in (guid, guid.upper()))
    with disk.ledger() as ledger:
        assert await ledger.admit([first, again]) == Admission([first], 1, {})


async def test_an_id_that_this_run_has_settled_is_a_duplicate_too(disk):
    (a,) = entries("a")
    with disk.ledger() as ledger:
        await ledger.admit([a])
        await ledger.commit([outcome(a)])
        assert await ledger.admit([a]) == Admission([], 1, {})


async def test_an_id_and_a_line_that_is_none_are_distinct_and_both_are_settled(disk):
    (a,), (odd,) = entries("a"), invalid("a")
    with disk.ledger() as ledger:
        assert await ledger.admit([a, odd, odd]) == Admission([a, odd], 1, {})
        await ledger.commit([outcome(odd, Verdict.INVALID_ID)])
    with disk.ledger() as ledger:
        assert await ledger.admit([a, odd]) == Admission([a], 0, {Verdict.INVALID_ID: 1})


# --- what earlier runs have settled ---


@pytest.mark.parametrize("verdict", Verdict)
async def test_a_verdict_is_settled_for_good_or_open_again_for_the_next_run(disk, verdict):
    (a,) = entries("a")
    await settle(disk, {"a": verdict})
    with disk.ledger() as ledger:
        expected = (
            Admission([a], 0, {}) if verdict in OPEN_AGAIN else Admission([], 0, {verdict: 1})
        )
        assert await ledger.admit([a]) == expected


@pytest.mark.parametrize("verdict", WITHOUT_RECORD)
async def test_any_verdict_without_a_record_is_asked_again_if_wanted(disk, verdict):
    (a,) = entries("a")
    await settle(disk, {"a": verdict})
    with disk.ledger(reopen={verdict}) as ledger:
        assert await ledger.admit([a]) == Admission([a], 0, {})


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.NOT_FOUND, Verdict.EXHAUSTED])
async def test_an_id_with_a_record_never_gets_another_verdict_whatever_is_wanted(disk, verdict):
    (a,) = entries("a")
    await settle(disk, {"a": Verdict.OK})
    with disk.ledger(reopen=set(Verdict)) as ledger:
        assert await ledger.admit([a]) == Admission([], 0, {Verdict.OK: 1})
        with pytest.raises(CommitError):
            await ledger.commit([outcome(a, verdict)])
    assert disk.lines() == [b"a ok"]
    with disk.ledger() as ledger:
        assert (await ledger.admit([a])).settled == {Verdict.OK: 1}


async def test_only_what_is_named_is_asked_again(disk):
    await settle(disk, {"a": Verdict.REJECTED, "b": Verdict.TOO_LARGE})
    with disk.ledger(reopen={Verdict.REJECTED}) as ledger:
        admission = await ledger.admit(entries("a", "b"))
    assert [entry.id for entry in admission.fresh] == ["a"]
    assert admission.settled == {Verdict.TOO_LARGE: 1}


async def test_settled_ids_are_counted_once_and_again_they_are_duplicates(disk):
    await settle(disk, {"a": Verdict.OK, "b": Verdict.OK, "c": Verdict.NOT_FOUND})
    with disk.ledger() as ledger:
        assert await ledger.admit(entries(*"abcabc")) == Admission(
            [], 3, {Verdict.OK: 2, Verdict.NOT_FOUND: 1}
        )


async def test_an_id_that_was_asked_again_has_its_new_verdict_and_both_lines(disk):
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


# --- the inbox: what a queue has let go of ---


async def left_over(ledger):
    return [entry async for admission in ledger.left_over() for entry in admission.fresh]


async def take_in(disk, *ids):
    """Admit IDs in a run over a queue that then is killed."""
    with disk.ledger(is_queue=True) as ledger:
        await ledger.admit(entries(*ids))


@pytest.mark.parametrize("is_queue", [True, False])
async def test_what_a_queue_has_let_go_of_is_left_over_in_its_order_until_it_is_settled(
    disk, is_queue
):
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


async def test_left_over_entries_come_in_blocks_of_a_bounded_size_however_many_there_are(disk):
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
async def test_what_is_left_over_and_comes_again_is_a_duplicate(disk, is_queue):
    await take_in(disk, "a", "b")
    with disk.ledger(is_queue=is_queue) as ledger:
        await left_over(ledger)
        b, c = entries("b", "c")
        assert await ledger.admit([b, c, b]) == Admission([c], 2, {})


async def test_of_a_queue_a_duplicate_is_told_by_inbox_and_outcomes(disk):
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
async def test_an_id_that_a_queue_sends_again_is_done_again_if_its_verdict_is_not_final(
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


async def test_a_verdict_that_is_retried_on_demand_is_retried_once_a_run(disk):
    (a,) = entries("a")
    await settle(disk, {"a": Verdict.NOT_FOUND})
    with disk.ledger(is_queue=True, reopen={Verdict.NOT_FOUND}) as ledger:
        assert (await ledger.admit([a])).fresh == [a]
        await ledger.commit([outcome(a, Verdict.NOT_FOUND)])
        assert await ledger.admit([a]) == Admission([], 1, {})
    with disk.ledger(is_queue=True) as ledger:
        assert await left_over(ledger) == []


async def test_what_was_to_be_retried_on_demand_is_retried_although_the_run_was_killed(disk):
    await settle(disk, {"a": Verdict.NOT_FOUND})
    with disk.ledger(is_queue=True, reopen={Verdict.NOT_FOUND}) as ledger:
        await ledger.admit(entries("a"))
    with disk.ledger() as ledger:
        assert await left_over(ledger) == entries("a")


async def test_what_got_a_record_without_the_inbox_is_left_over_no_more(disk):
    """As by an older version, which has no inbox and finds the ID in an input of its own."""
    await take_in(disk, "a", "b")
    disk.record_behind_the_back_of_the_inbox("a")
    with disk.ledger() as ledger:
        assert await left_over(ledger) == entries("a", "b")[1:]


# --- commits ---


async def test_a_commit_is_there_for_the_next_run_with_all_of_its_lines(disk):
    a, b, c = entries("a", "b", "c")
    with disk.ledger() as ledger:
        await ledger.admit([a, b, c])
        await ledger.commit([outcome(a), outcome(b, Verdict.NOT_FOUND)])
        await ledger.commit([outcome(c)])
    with disk.ledger() as ledger:
        admission = await ledger.admit([a, b, c])
    assert admission == Admission([], 0, {Verdict.OK: 2, Verdict.NOT_FOUND: 1})
    assert disk.lines() == [b"a ok", b"b not_found", b"c ok"]


async def test_a_commit_counts_with_all_of_its_outcomes_or_with_none(disk):
    """A second verdict for an ID that has a record is refused, and everything that came with it."""
    a, b, c = entries("a", "b", "c")
    await settle(disk, {"b": Verdict.OK})
    with disk.ledger() as ledger, pytest.raises(CommitError):
        await ledger.commit([outcome(a), outcome(b, Verdict.REJECTED), outcome(c)])
    assert disk.lines() == [b"b ok"]
    with disk.ledger() as ledger:
        assert await ledger.admit([a, b, c]) == Admission([a, c], 0, {Verdict.OK: 1})


async def test_every_line_of_a_commit_is_there_once(place):
    a, b, c = entries("a", "b", "c")
    with place.ledger() as ledger:
        await ledger.admit([a, b, c])
        await ledger.commit([outcome(a), outcome(b, Verdict.NOT_FOUND)])
        await ledger.commit([outcome(c)])
    assert place.lines() == [b"a ok", b"b not_found", b"c ok"]


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_commit_is_waited_for_however_often_the_caller_is_cancelled(place, times):
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


async def test_others_go_on_while_the_disk_is_slow(place):
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


# --- what only the local one can meet ---


async def test_an_input_keeps_no_ids_on_disk_unless_earlier_runs_have_settled_them(tmp_path):
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


@pytest.mark.parametrize("is_queue", [True, False])
async def test_a_commit_of_files_does_not_look_into_the_inbox_as_long_as_it_is_empty(
    tmp_path, is_queue
):
    disk, statements = LocalDisk(tmp_path / "export"), []
    with disk.ledger(is_queue=is_queue) as ledger:
        assert await left_over(ledger) == []
        fresh = (await ledger.admit(entries("a", "b"))).fresh
        disk.store._database._connection._connection.set_trace_callback(statements.append)
        await ledger.commit([outcome(entry) for entry in fresh])
    assert any("INTO outcome" in statement for statement in statements)
    assert any("inbox" in statement for statement in statements) is is_queue


async def test_a_queue_that_is_taken_in_on_a_full_disk_may_be_taken_in_again(tmp_path):
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


# --- the double does not drift ---

ids = st.sampled_from([f"n{number}" for number in range(6)])
blocks = st.lists(ids, max_size=8)
verdicts = st.sampled_from(Verdict)
# A run: whether its source is a queue, what becomes of what was left over, what is reopened, and
# blocks of IDs, each with what becomes of those that are to be done.
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
    """Commit those of `fresh` that come to an end."""
    outcomes = [
        outcome(entry, verdict)
        for entry, verdict in zip(fresh, ends, strict=False)
        if verdict is not None
    ]
    if outcomes:
        await ledger.commit(outcomes)


async def live_through(disk, history):
    """Return everything that a disk has said in the course of a history."""
    said = []
    for is_queue, ends_of_left_over, reopen, steps in history:
        with disk.ledger(reopen=reopen, is_queue=is_queue) as ledger:
            waiting = await left_over(ledger)
            said.append(waiting)
            await commit_some(ledger, waiting, ends_of_left_over)
            for block, ends in steps:
                admission = await ledger.admit(entries(*block))
                said.append(admission)
                await commit_some(ledger, admission.fresh, ends)
    return said, disk.lines()


@settings(max_examples=25, deadline=None)  # a disk takes its time
@given(histories)
def test_the_local_ledger_and_its_double_say_the_same(history):
    with tempfile.TemporaryDirectory() as path:
        local = asyncio.run(live_through(LocalDisk(Path(path) / "export"), history))
    assert local == asyncio.run(live_through(MemoryDisk(), history))


@pytest.mark.parametrize("verdict", WITHOUT_RECORD)
async def test_an_id_that_the_api_has_answered_before_is_named_and_no_other_is(disk, verdict):
    a, b, c = entries("a", "b", "c")
    await settle(disk, {"a": verdict, "b": Verdict.OK})
    with disk.ledger() as ledger:
        assert (await ledger.admit([a, c])).answered is None
        assert (await ledger.admit([b])).answered == b
        assert (await ledger.admit([b])).answered is None  # a duplicate
