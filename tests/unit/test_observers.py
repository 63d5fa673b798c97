"""What a run shows of itself: in a file, in the log, on a terminal."""

import asyncio
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import ModuleType

import pytest
from support.command import TOKEN
from support.states import AT, api_state, run_state

from cxai import Settings, export
from cxai.core.run_state import Blocked
from cxai.core.timestamp import timestamp
from cxai.core.watchdog import Stage, Stall
from cxai.errors import UsageError
from cxai.observe.blocked import BlockedLog
from cxai.observe.logging import LOG
from cxai.observe.options import Progress
from cxai.observe.progress_file import ProgressFile
from cxai.observe.redaction import Redaction
from cxai.observe.registry import OBSERVERS, open_observers
from cxai.observe.setup import ProgressPlace, Setup
from cxai.observe.stalls import StallLog
from cxai.observe.unanswered import UnansweredLog
from cxai.output.contents import PROGRESS_NAME
from cxai.output.directory import OutputDirectory


@pytest.fixture(autouse=True)
def _log():
    LOG.configure(Redaction(), as_json=False)


def events(capsys, name):
    return [line for line in capsys.readouterr().err.splitlines() if f"event={name}" in line]


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


# --- the log ---


def test_each_stall_is_logged_as_it_begins_and_as_it_ends(capsys):
    log = StallLog(1.0)
    for stall in (Stall(Stage.COMMIT, 61.4, 3), Stall(Stage.COMMIT, 62.4, 3), None, None):
        log.observe(run_state(stall=stall))
    begun, over = capsys.readouterr().err.splitlines()
    assert (
        "level=warning event=stalled stage=commit"
        ' symptom="the disk does not take the outcomes" for_s=61 there=3'
    ) in begun
    assert 'level=info event="moves again" stage=commit' in over


def test_a_place_that_can_not_be_used_is_logged_as_it_begins_and_as_it_ends(capsys):
    log = BlockedLog()
    down = Blocked("the database", 1.0, None, "connection refused", is_full=False)
    for blocked in (None, down, replace(down, for_s=7.2), None, None):
        log.observe(run_state(blocked=blocked))
    began, ended = capsys.readouterr().err.splitlines()
    assert "event=storage_blocked" in began
    assert "connection refused" in began
    assert "event=storage_back" in ended
    assert "after_s=7" in ended


def test_an_input_that_is_silent_is_no_warning(capsys):
    StallLog(1.0).observe(run_state(stall=Stall(Stage.INPUT, 61.4, 1)))
    assert "level=info event=stalled stage=input" in capsys.readouterr().err


def test_a_stall_that_moves_to_another_stage_is_logged_again(capsys):
    log = StallLog(1.0)
    log.observe(run_state(stall=Stall(Stage.REQUESTS, 61.4, 3)))
    log.observe(run_state(stall=Stall(Stage.COMMIT, 61.4, 3)))
    assert len(events(capsys, "stalled")) == 2


@pytest.mark.parametrize(
    ("shown", "is_logged"),
    [
        ({"unanswered_s": 2.0, "trouble": "Connection refused"}, False),
        ({"unanswered_s": 3.0, "trouble": "Connection refused", "advice": "Check it."}, True),
        ({"down_for_s": 2.0, "trouble": "HTTP 302"}, False),
        ({"down_for_s": 3.0, "trouble": "HTTP 302", "advice": "Check base_url."}, True),
        ({"unanswered_s": 44.0}, False),
        ({"unanswered_s": 45.0}, True),
        ({"unanswered_s": None, "trouble": "HTTP 503"}, False),
    ],
)
def test_the_log_says_so_once_with_url_cause_and_what_to_check(shown, is_logged, capsys):
    log = UnansweredLog()
    for _ in range(3):
        log.observe(run_state(api=shown))
    lines = events(capsys, "api_unanswered")
    assert len(lines) == is_logged
    for line in lines:
        assert f"url={api_state().url}" in line
        assert f'cause="{shown.get("trouble", "no reply to any request yet")}"' in line
        assert "check=" in line


def test_the_log_says_so_again_in_the_next_outage(capsys):
    log = UnansweredLog()
    for for_s in (3.0, 60.0, None, 3.0):
        log.observe(run_state(api={"down_for_s": for_s, "trouble": "HTTP 503"}))
    assert len(events(capsys, "api_unanswered")) == 2


# --- which of them are opened ---


class Terminal:
    def isatty(self):
        return True


def opened(**choices):
    settings = Settings(**choices)
    setup = Setup(
        settings.progress,
        settings.progress_s,
        settings.stalled_after_s,
        ProgressPlace(print, print, None),
    )
    return open_observers(setup)


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        (Progress.NONE, set()),
        (Progress.BAR, {"live_view"}),
        (Progress.LINES, {"progress_lines"}),
        (Progress.AUTO, {"progress_lines"}),
    ],
)
def test_the_progress_is_shown_as_it_was_chosen(choice, shown):
    others = {"progress_file", "stalls", "blocked", "unanswered"}
    assert opened(progress=choice).keys() == shown | others


def test_on_a_terminal_it_is_a_live_view_unless_chosen_otherwise(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert "live_view" in opened(progress="auto")
    assert "progress_lines" in opened(progress="lines")


def test_every_observer_has_its_interval():
    choices = {"progress_s": 7.0, "stalled_after_s": 2.0}
    intervals = {
        name: observer.interval_s
        for progress in (Progress.BAR, Progress.LINES)
        for name, observer in opened(progress=progress, **choices).items()
    }
    assert intervals == {
        "live_view": 0.25,
        "progress_lines": 7.0,
        "progress_file": 1.0,
        "stalls": 0.5,
        "blocked": 1.0,
        "unanswered": 1.0,
    }


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
