"""A run under watch, and what it leaves behind."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cxai.clock import SystemClock
from cxai.core.tally import Tally
from cxai.core.watchdog import loads
from cxai.observe.logging import LOG
from cxai.observe.redaction import Redaction
from cxai.observe.snapshot import Pulse
from cxai.observe.watch import Watch
from cxai.output.contents import PROGRESS_NAME
from cxai.output.directory import OutputDirectory
from cxai.settings import Settings


def pulse():
    quiet = {"in_flight": 0, "open": 0, "waiting": 0, "next_retry_s": None, "input_ended": False}
    calm = {"no_room": None, "ending": False, "paused": None, "outage_s": None, "trouble": None}
    limits = {
        "rate_allowed": 5.0,
        "rate_ceiling": 5.0,
        "in_flight_allowed": 10,
        "in_flight_ceiling": 10,
    }
    return Pulse(Tally(), loads=loads(), expected_lines=None, **quiet, **calm, **limits)


class SlowDirectory(OutputDirectory):
    """Writes a file a moment after it was told to, on whatever thread that is."""

    def __init__(self, path):
        super().__init__(path)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def replace(self, name, content, *, durable=True):
        self.begun.set()
        self.go_on.wait(10)
        super().replace(name, content, durable=durable)


async def test_a_run_that_ends_while_its_progress_is_being_written_leaves_no_progress(tmp_path):
    with SlowDirectory(tmp_path) as directory, ThreadPoolExecutor(1) as thread:
        settings = Settings(progress="none")
        async with Watch(pulse, directory, thread, settings, SystemClock()):
            await asyncio.to_thread(directory.begun.wait)
            asyncio.get_running_loop().call_later(0.05, directory.go_on.set)
        await asyncio.to_thread(thread.shutdown)  # all that was to be written is written
        assert not (tmp_path / PROGRESS_NAME).exists()


@pytest.mark.parametrize(
    ("shown", "logged"),
    [
        ({"unanswered_s": 9.0, "trouble": "Connection refused"}, False),
        ({"unanswered_s": 10.0, "trouble": "Connection refused", "advice": "Check it."}, True),
        ({"unanswered_s": 44.0}, False),
        ({"unanswered_s": 45.0}, True),
        ({"unanswered_s": None, "trouble": "HTTP 503"}, False),
    ],
)
async def test_the_log_says_so_once_with_url_cause_and_what_to_check(
    shown, logged, tmp_path, capsys
):
    settings = Settings(progress="none", stalled_after_s=0.04)
    LOG.configure(Redaction(), as_json=False)
    looks = 0

    def look():
        nonlocal looks
        looks += 1
        return replace(pulse(), api="https://api.test", **shown)

    with OutputDirectory(tmp_path) as directory, ThreadPoolExecutor(1) as thread:
        async with Watch(look, directory, thread, settings, SystemClock()), asyncio.timeout(10):
            while looks < 12:  # noqa: ASYNC110 - the watch looks by its own clock
                await asyncio.sleep(0.01)
    lines = [line for line in capsys.readouterr().err.splitlines() if "api_unanswered" in line]
    assert len(lines) == logged
    for line in lines:
        assert "url=https://api.test" in line
        assert f'cause="{shown.get("trouble", "no reply to any request yet")}"' in line
        assert "check=" in line
