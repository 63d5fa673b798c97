"""The observers of a run: the progress file, the progress lines, and which of them are opened."""

import asyncio
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType

import pytest
from support.command import TOKEN
from support.states import AT, run_state

from cxai import Settings, export
from cxai.core.events import EventStream
from cxai.core.timestamp import timestamp
from cxai.errors import UsageError
from cxai.observe.options import Progress
from cxai.observe.progress_file import ProgressFile
from cxai.observe.progress_lines import ProgressLines
from cxai.observe.registry import OBSERVERS, open_observers
from cxai.observe.setup import ProgressPlace, Setup
from cxai.output.contents import PROGRESS_NAME
from cxai.output.directory import OutputDirectory

# --- the progress file ---


def progress_file_in(directory, thread):
    write = partial(directory.replace, PROGRESS_NAME, durable=False)
    return ProgressFile(write, partial(directory.remove, PROGRESS_NAME), thread)


class SlowDirectory(OutputDirectory):
    """Writes a file when it may, on whatever thread that is."""

    def __init__(self, path):
        super().__init__(path)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def replace(self, name, content, *, durable=True):
        self.begun.set()
        self.go_on.wait(10)
        super().replace(name, content, durable=durable)


async def test_a_run_that_ends_while_its_progress_is_being_written_leaves_no_progress(tmp_path):
    with SlowDirectory(tmp_path) as directory, ThreadPoolExecutor(1) as thread:
        observer = progress_file_in(directory, thread)
        observer.observe(run_state())
        await asyncio.to_thread(directory.begun.wait)
        closing = asyncio.create_task(observer.close(run_state(), None))
        await asyncio.sleep(0)
        directory.go_on.set()
        await closing
        assert not (tmp_path / PROGRESS_NAME).exists()


def test_the_file_holds_the_state_and_its_time(tmp_path):
    with OutputDirectory(tmp_path) as directory, ThreadPoolExecutor(1) as thread:
        progress_file_in(directory, thread).observe(run_state(done=3))
    shown = json.loads((tmp_path / PROGRESS_NAME).read_bytes())
    assert shown["state"] == "waiting for the first line"
    assert (shown["done"], shown["at"]) == (3, timestamp(AT))


def test_a_state_that_comes_while_the_thread_is_busy_is_left_out(tmp_path):
    with SlowDirectory(tmp_path) as directory, ThreadPoolExecutor(1) as thread:
        observer = progress_file_in(directory, thread)
        for done in range(3):
            observer.observe(run_state(done=done))
        directory.go_on.set()
    assert json.loads((tmp_path / PROGRESS_NAME).read_bytes())["done"] == 0


async def test_a_disk_that_does_not_take_the_file_is_left_for_the_commit_to_report(capsys):
    def broken(*_content):
        raise OSError(28, "No space left on device")

    with ThreadPoolExecutor(1) as thread:
        observer = ProgressFile(broken, broken, thread)
        observer.observe(run_state())
        await observer.close(run_state(), None)
    assert capsys.readouterr().err == ""


def test_a_fault_in_writing_the_file_is_not_silent():
    def faulty(_content):
        raise ValueError("a fault of ours")

    with ThreadPoolExecutor(1) as thread:
        observer = ProgressFile(faulty, lambda: None, thread)
        observer.observe(run_state())
    with pytest.raises(ValueError, match="a fault of ours"):
        observer.observe(run_state())


# --- which of them are opened ---


class Terminal:
    def isatty(self):
        return True


def opened(**choices):
    settings = Settings(**choices)
    setup = Setup(
        settings.progress,
        settings.progress_s,
        EventStream().emit,
        ProgressPlace(print, print, None),
    )
    return open_observers(setup)


def use_terminal(monkeypatch, kind="xterm"):
    monkeypatch.setattr(sys, "stderr", Terminal())
    if kind is None:
        monkeypatch.delenv("TERM")
    else:
        monkeypatch.setenv("TERM", kind)


@pytest.mark.parametrize(
    ("choice", "on_a_terminal", "elsewhere"),
    [
        (Progress.NONE, set(), set()),
        (Progress.BAR, {"live_view"}, {"progress_lines"}),
        (Progress.LINES, {"progress_lines"}, {"progress_lines"}),
        (Progress.AUTO, {"live_view"}, {"progress_lines"}),
    ],
)
def test_the_progress_is_shown_as_it_was_chosen_and_can_be(
    choice, on_a_terminal, elsewhere, monkeypatch
):
    assert opened(progress=choice).keys() == elsewhere | {"progress_file"}
    use_terminal(monkeypatch)
    assert opened(progress=choice).keys() == on_a_terminal | {"progress_file"}


@pytest.mark.parametrize("kind", ["dumb", "unknown", "", None])
@pytest.mark.parametrize("choice", [Progress.AUTO, Progress.BAR])
def test_a_terminal_that_can_not_draw_gets_lines(monkeypatch, kind, choice):
    use_terminal(monkeypatch, kind)
    assert opened(progress=choice).keys() == {"progress_file", "progress_lines"}


def test_every_observer_has_its_interval(monkeypatch):
    use_terminal(monkeypatch)
    intervals = {
        name: observer.interval_s
        for progress in (Progress.BAR, Progress.LINES)
        for name, observer in opened(progress=progress, progress_s=7.0).items()
    }
    assert intervals == {"live_view": 0.25, "progress_lines": 7.0, "progress_file": 1.0}


def test_a_line_of_progress_is_an_event_with_the_state_of_the_run():
    events, seen = EventStream(), []
    events.attach(seen.append)
    ProgressLines(7.0, events.emit).observe(run_state(done=3))
    assert [event.name for event in seen] == ["progress"]
    assert seen[0].values["done"] == 3


# --- one that can't be as wanted ---


@pytest.mark.parametrize("error", [UsageError("It needs an address."), ImportError("no package")])
async def test_an_observer_that_can_not_be_opened_refuses_the_run_and_leaves_nothing_behind(
    tmp_path, guids, monkeypatch, error
):
    def open_observer(_setup):
        raise error

    module = ModuleType("refusing")
    module.open_observer = open_observer
    monkeypatch.setitem(sys.modules, "refusing", module)
    monkeypatch.setitem(OBSERVERS, "refusing", "refusing")
    (tmp_path / "ids.txt").write_text("\n".join(guids(3)))
    with pytest.raises(type(error)):
        await export(Settings(), tmp_path / "ids.txt", tmp_path / "export", token=TOKEN)
    assert not (tmp_path / "export").exists()
