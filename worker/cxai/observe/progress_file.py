"""Leaves the state of a run in a small file, where `cxai status` finds it."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

import orjson

from cxai.core.events import Event
from cxai.core.run_state import RunState
from cxai.core.timestamp import timestamp
from cxai.observe.setup import Setup
from cxai.observe.state_text import plain


def open_observer(setup: Setup) -> "ProgressFile | None":
    """Return it if the run has a file for it."""
    place = setup.progress_file
    return None if place is None else ProgressFile(place.write, place.remove, place.thread)


class ProgressFile:
    """Replaces the file once a second by `write`, on `thread`; `remove` deletes it at the end.

    A disk that does not take it is not reported here: the commit does that, and says more.
    """

    interval_s = 1.0

    def __init__(
        self, write: Callable[[bytes], None], remove: Callable[[], None], thread: Executor
    ) -> None:
        self._write = write
        self._remove = remove
        self._thread = thread
        self._writing: Future[None] | None = None

    def observe(self, state: RunState) -> None:
        if self._writing is not None:
            if not self._writing.done():
                return
            self._writing.result()
        content = {**plain(state), "at": timestamp(state.at)}
        line = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
        self._writing = self._thread.submit(_without_disk_errors, lambda: self._write(line))

    def see(self, _event: Event) -> None:
        """Do nothing: the file shows the state."""

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, _without_disk_errors, self._remove)


def _without_disk_errors(work: Callable[[], None]) -> None:
    with suppress(OSError):
        work()
