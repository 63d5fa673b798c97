"""Watches a run: feeds the progress view, and leaves its state where `cxai status` finds it."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Self

import orjson

from cxai.core.ports import Clock
from cxai.core.watchdog import Section, Stall, Watchdog
from cxai.observe.logging import LOG
from cxai.observe.progress import NoProgress, ProgressBar, ProgressLines, ProgressView
from cxai.observe.snapshot import Observer, Pulse, Snapshot
from cxai.output.contents import PROGRESS_NAME
from cxai.output.directory import OutputDirectory
from cxai.settings import Progress, Settings

_EVERY_S = 1.0

# An API that has not answered once is worth a word after so long: sooner if it is known why.
_SILENT_S, _FAILING_S = 45.0, 10.0


class Watch:
    """While it is entered, shows how far a run is and writes it to the output directory.

    A stage at which nothing moves is named in the state and, once, in the log.
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
        self._look_every_s = min(_EVERY_S, settings.stalled_after_s / 4)
        self._watchdog = Watchdog(settings.stalled_after_s, clock.monotonic())
        self._stall: Stall | None = None
        self._is_unanswered_told = False
        self._view = _view(settings)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._view.__enter__()
        self._tasks = [
            asyncio.create_task(self._show(), name="progress"),
            asyncio.create_task(self._write(), name="progress-file"),
            asyncio.create_task(self._guard(), name="watchdog"),
        ]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._view.__exit__(None, None, None)
        unlink = (self._directory.path / PROGRESS_NAME).unlink
        with suppress(OSError):  # after a write that is under way there
            await asyncio.get_running_loop().run_in_executor(self._thread, unlink)

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
            await asyncio.sleep(_EVERY_S)

    async def _guard(self) -> None:
        while True:
            stall, before = self._look(), self._stall
            self._stall = stall
            if stall is not None and (before is None or before.section is not stall.section):
                tell = LOG.info if stall.section is Section.INPUT else LOG.warning
                tell("stalled", stage=stall.section, for_s=round(stall.for_s), there=stall.holding)
            elif stall is None and before is not None:
                LOG.info("moves again", stage=before.section.short)
            self._tell_of_silence(self._pulse())
            await asyncio.sleep(self._look_every_s)

    def _tell_of_silence(self, pulse: Pulse) -> None:
        """Log it once if the API does not answer from the beginning, with the cause if known."""
        for_s = pulse.unanswered_s
        if for_s is None or self._is_unanswered_told:
            return
        if for_s >= (_SILENT_S if pulse.trouble is None else _FAILING_S):
            self._is_unanswered_told = True
            LOG.warning(
                "api_unanswered",
                url=pulse.api,
                for_s=round(for_s),
                cause=pulse.trouble or "no reply to any request yet",
                check=pulse.advice or "Check base_url, the network, and the API's own status.",
            )

    def _look(self) -> Stall | None:
        pulse = self._pulse()
        waits = pulse.paused is not None or pulse.outage_s is not None
        slow_s = None if waits else 2 / pulse.rate_allowed
        return self._watchdog.look(pulse.loads, self._clock.monotonic(), slow_s=slow_s)

    def _snapshot(self) -> Snapshot:
        return self._observer.snapshot(self._pulse(), self._clock.monotonic(), self._stall)


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
