"""Watches a run: feeds the progress view, and leaves its state where `cxai status` finds it."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Self

import orjson

from worker.console.progress import NoProgress, ProgressBar, ProgressLines, ProgressView
from worker.console.snapshot import Observer, Pulse, Snapshot
from worker.output.directory import OutputDirectory
from worker.ports import Clock
from worker.settings import Progress, Settings

PROGRESS_NAME = "progress.json"
"""How far a run is, for `cxai status`: it can't look into the ledger of a live run."""


_FILE_EVERY_S = 1.0


class Watch:
    """While it is entered, shows how far a run is and writes it to the output directory.

    `pulse` returns what the run shows of itself now. The file is written on `thread`.
    """

    def __init__(
        self,
        pulse: Callable[[], Pulse],
        directory: OutputDirectory,
        thread: ThreadPoolExecutor,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._pulse = pulse
        self._directory = directory
        self._thread = thread
        self._clock = clock
        self._observer = Observer(clock.monotonic())
        self._view = _view(settings)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._view.__enter__()
        self._tasks = [
            asyncio.create_task(self._show(), name="progress"),
            asyncio.create_task(self._write(), name="progress-file"),
        ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._view.__exit__(None, None, None)
        with suppress(OSError):
            (self._directory.path / PROGRESS_NAME).unlink()

    async def _show(self) -> None:
        while True:
            self._view.show(self._snapshot())
            await asyncio.sleep(self._view.interval_s)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        write = partial(self._directory.replace, PROGRESS_NAME, durable=False)
        while True:
            content = orjson.dumps(self._snapshot().as_dict(), option=orjson.OPT_APPEND_NEWLINE)
            with suppress(OSError):  # the commit tells of a broken disk, and does so better
                await loop.run_in_executor(self._thread, write, content)
            await asyncio.sleep(_FILE_EVERY_S)

    def _snapshot(self) -> Snapshot:
        return self._observer.snapshot(self._pulse(), self._clock.monotonic())


def _view(settings: Settings) -> ProgressView:
    match settings.progress:
        case Progress.NONE:
            return NoProgress()
        case Progress.BAR:
            return ProgressBar()
        case Progress.LINES:
            return ProgressLines(settings.progress_s)
        case Progress.AUTO:
            if sys.stderr.isatty():
                return ProgressBar()
            return ProgressLines(settings.progress_s)
