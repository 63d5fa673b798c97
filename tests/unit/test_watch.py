"""A run under watch, and what it leaves behind."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from worker.clock import SystemClock
from worker.console.snapshot import Pulse
from worker.console.watch import Watch
from worker.domain.tally import Tally
from worker.domain.watchdog import loads
from worker.output.contents import PROGRESS_NAME
from worker.output.directory import OutputDirectory
from worker.settings import Settings


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
        settings = Settings(progress="none", toml={})
        async with Watch(pulse, directory, thread, settings, SystemClock()):
            await asyncio.to_thread(directory.begun.wait)
            asyncio.get_running_loop().call_later(0.05, directory.go_on.set)
        await asyncio.to_thread(thread.shutdown)  # all that was to be written is written
        assert not (tmp_path / PROGRESS_NAME).exists()
