"""A run over a queue into a directory: its books are true while it goes, and after it."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
from support.checker import assert_exact
from support.command import TOKEN, cxai, rows
from support.doubles import QueueSource
from support.store import entries_of, opened
from support.waiting import wait_until

from cxai import Settings, export
from cxai.inspect.status import export_status
from cxai.inspect.verify import verify_export
from cxai.simulator import behaviour_of

QUICK = {"rate": 1_000, "backoff_base_s": 0.01, "max_attempts": 2, "batch_s": 0.05}


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "export"


def settings_for(api, **more):
    return Settings(base_url=api.base_url, **{**QUICK, **more})


class LiveQueue(QueueSource):
    """A queue to which messages can be added while it is read; it never ends."""

    def __init__(self):
        super().__init__([])
        self._added = asyncio.Event()
        self._sent = 0

    def send(self, ids):
        self.messages += entries_of([""] * self._sent + [*ids])[self._sent :]
        self._sent += len(ids)
        self._added.set()

    async def batches(self):
        while True:
            if self.messages:
                yield list(self.messages)
            self._added.clear()
            await self._added.wait()


@asynccontextmanager
async def running(api, queue, directory, **more):
    """Run over a queue while the block lasts, then stop; yield what becomes its report."""
    stop = asyncio.Event()
    run = asyncio.create_task(
        export(settings_for(api, **more), queue, directory, token=TOKEN, stop=stop)
    )
    try:
        yield run
    finally:
        stop.set()
        await run


def finished_ids(directory):
    """Return the IDs of the records in the parts that the manifest lists."""
    try:
        content = json.loads((directory / "manifest.json").read_text())
    except FileNotFoundError:
        return []
    return [
        json.loads(line)["interaction_id"]
        for part in content["parts"]
        if part["set"] == "records"
        for line in (directory / part["file"]).read_text().splitlines()
    ]


async def test_a_run_without_end_finishes_parts_while_nothing_arrives(simulated, directory, guids):
    ids, queue = guids(6), LiveQueue()
    with simulated() as api:
        async with running(api, queue, directory, part_every_s=0.3) as run:
            queue.send(ids[:4])
            await wait_until(lambda: len(finished_ids(directory)) == 4, "the first part")
            queue.send(ids[4:])
            await wait_until(lambda: len(finished_ids(directory)) == 6, "the second part")
            reason = json.loads((directory / "manifest.json").read_text())["last_run"]["reason"]
            assert reason == "under_way"
            assert not run.done()
        assert (run.result().exit_code, run.result().tally.adds_up) == (4, True)
        assert sorted(finished_ids(directory)) == sorted(ids)
        found = verify_export(directory)
        assert (found.problems, found.exit_code) == ([], 4)  # it was stopped: that is no end
        settings = settings_for(api, allow_empty=True)
        await export(settings, QueueSource([]), directory, token=TOKEN)
        assert_exact(directory, ids, api.scenario)


@pytest.mark.promise(
    "A file of the export is moved away while a run over a queue waits for messages",
    "the run stops by itself when the next part is to be finished; code 5",
    group="Queues",
)
async def test_what_fails_while_a_part_is_finished_ends_the_run(simulated, directory, guids):
    queue = LiveQueue()
    with simulated() as api:
        async with running(api, queue, directory, part_every_s=0.5) as run:
            queue.send(guids(2))
            part = directory / "records-000001.jsonl.open"
            await wait_until(lambda: part.exists() and part.stat().st_size, "the first rows")
            part.rename(directory / "elsewhere")
            await wait_until(run.done, "the end of the run")
    report = run.result()
    assert report.exit_code == 5
    assert "was removed or replaced" in report.ending.headline


async def test_status_of_a_run_under_way_has_what_is_open_and_what_is_settled(
    simulated, directory, guids
):
    queue = LiveQueue()
    with simulated(missing=0.3) as api:

        def progress():
            status = export_status(directory).progress
            return {name: status.get(name) for name in ("open", "done")} if status else {}

        async with running(api, queue, directory, rate=20, in_flight=2):
            queue.send(guids(30))
            await wait_until(lambda: not queue.messages, "that the ledger has them")
            await wait_until(lambda: progress().get("done") not in {None, 0}, "some progress")
            now = progress()
            assert now["done"] + now["open"] == 30
    stopped = export_status(directory)
    assert stopped.progress is None
    entries, waiting = stopped.inbox
    assert entries == waiting == 30 - sum(stopped.verdicts.values())
    assert f"{waiting} messages of a queue in the inbox" in stopped.text()
    assert stopped.as_dict()["inbox"] == {"entries": waiting, "open": waiting}
    assert f"{waiting} messages of a queue are in the inbox" in verify_export(directory).text()


async def test_the_next_run_takes_what_was_left_and_its_report_says_how_much(
    simulated, directory, guids
):
    *ids, another = guids(10)
    queue = LiveQueue()
    with simulated() as api:
        async with running(api, queue, directory, rate=4, in_flight=1) as run:
            queue.send(ids)
            await wait_until(lambda: not queue.messages and api.stats.requests, "a first request")
        left, _ = export_status(directory).inbox
        assert 0 < left < 9
        more = QueueSource(entries_of([*ids[:2], another]))
        report = await export(settings_for(api), more, directory, token=TOKEN)
        assert_exact(directory, [*ids, another], api.scenario)
    tally = report.tally
    assert run.result().tally.open == left
    assert (tally.left_over, tally.lines) == (left, left + 3)
    assert tally.adds_up
    assert f"({left} of them from the inbox, where earlier runs left them)" in report.text()
    assert report.as_dict()["left_over"] == left
    assert export_status(directory).inbox == (0, 0)
    assert verify_export(directory).problems == []


async def test_a_run_over_files_takes_what_a_queue_has_left(simulated, directory, guids, tmp_path):
    ids, queue = guids(8), LiveQueue()
    with simulated() as api:
        async with running(api, queue, directory, rate=4, in_flight=1):
            queue.send(ids)
            await wait_until(lambda: not queue.messages and api.stats.requests, "a first request")
        (tmp_path / "ids.txt").write_text("\n".join(ids[-2:]))
        where = ("-o", directory, "--base-url", api.base_url, "--rate", "1000")
        ended = cxai("run", tmp_path / "ids.txt", *where)
        assert ended.code == 0, ended.err
        assert "from the inbox, where earlier runs left them" in ended.out + ended.err
        assert_exact(directory, ids, api.scenario)
    assert verify_export(directory).exit_code == 0


async def test_a_line_that_holds_no_id_is_listed_the_same_by_a_run_that_finds_it_in_the_inbox(
    simulated, tmp_path
):
    listed = []
    with simulated() as api:
        for is_left_over in (False, True):
            directory = tmp_path / f"export-{is_left_over}"
            queue = QueueSource(entries_of(["3f2504e0-4f89-11d3-9a0c-0305e82c330"]))
            if is_left_over:
                with opened(directory, is_queue=True) as store:
                    store.admit(queue.messages)
                queue.messages.clear()
            report = await export(settings_for(api), queue, directory, token=TOKEN)
            assert (report.tally.lines, report.tally.left_over) == (1, is_left_over)
            (row,) = rows(directory, "failures")
            listed.append({name: row[name] for name in ("interaction_id", "reason", "line")})
    assert listed[0] == listed[1]


async def nothing_is_open(directory):
    """Wait until the progress that a run shows from now on says that it has nothing to do."""
    progress, now = directory / "progress.json", time.time()

    def is_done():
        is_news = progress.exists() and progress.stat().st_mtime > now
        return is_news and json.loads(progress.read_bytes())["open"] == 0

    await wait_until(is_done, "that nothing is open")


@pytest.mark.promise(
    "A queue sends an ID again whose verdict is not final",
    "it is asked again, in the same run, and counted once",
    group="Queues",
)
async def test_an_id_that_a_queue_sends_again_leaves_books_that_add_up(simulated, directory, guids):
    ids, queue = guids(20), LiveQueue()
    with simulated(garbled=0.3) as api:
        broken = [one for one in ids if behaviour_of(api.scenario, one).kind == "garbled"]
        assert 0 < len(broken) < 20
        async with running(api, queue, directory) as run:
            for times in (1, 2):
                queue.send(ids)
                asked = len(ids) + len(broken) * (2 * times - 1)
                await wait_until(lambda: not queue.messages, "that the ledger has them")
                await wait_until(lambda asked=asked: api.stats.requests >= asked, "all requests")
                await nothing_is_open(directory)
    tally = run.result().tally
    assert (tally.ids, tally.duplicates, tally.retaken) == (20, 20, len(broken))
    assert (tally.now["bad_body"], tally.open, tally.adds_up) == (len(broken), 0, True)
    assert export_status(directory).inbox == (len(broken), 0)
    assert verify_export(directory).problems == []
