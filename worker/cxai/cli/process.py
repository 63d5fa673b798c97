"""A run as a whole process: what a command adds to an export, and a library must not change."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from cxai.app import export
from cxai.app.wiring import most_readers
from cxai.cli.descriptors import need_descriptors
from cxai.cli.exits import is_debugging
from cxai.cli.signals import stop_signals
from cxai.cli.tuning import rare_collections
from cxai.cluster.url import parse_engine_url
from cxai.core.events import EventStream, Level
from cxai.core.ports import Source
from cxai.core.secret_str import SecretStr
from cxai.core.stop import StopRequest
from cxai.inspect.report import Report
from cxai.observe.logging import LOG
from cxai.observe.options import Progress
from cxai.observe.redaction import Redaction
from cxai.settings import LogFormat, Settings
from cxai.settings.settings import START_PATIENCE_ON_A_TERMINAL_S
from cxai.sources.line_counter import LineCounter

T = TypeVar("T")


def configure_log(settings: Settings, redaction: Redaction) -> Settings:
    """Make the log look as the settings say; return those that are right for it.

    They are of level debug if CXAI_DEBUG is set. A live view would not be JSON.
    """
    is_json = settings.log_format is LogFormat.JSON
    if is_debugging():
        settings = settings.replace(log_level=Level.DEBUG)
    if is_json and settings.progress is not Progress.NONE:
        settings = settings.replace(progress=Progress.LINES)
    LOG.configure(redaction, as_json=is_json, level=settings.log_level)
    return settings


async def as_command(
    settings: Settings,
    redaction: Redaction,
    events: EventStream,
    work: Callable[[Settings, StopRequest], Awaitable[T]],
) -> T:
    """Do `work`, which signals stop, with its events in the log on standard error."""
    settings = configure_log(settings, redaction)
    events.attach(LOG.see)
    with stop_signals(events.emit, settings.grace_s) as stop, rare_collections():
        return await work(settings, stop)


async def export_as_command(
    settings: Settings,
    source: Source,
    output: Path,
    token: SecretStr,
    *,
    line_counter: LineCounter | None = None,
    force: bool = False,
    reopen_missing: bool = False,
    source_name: str = "",
    events: EventStream | None = None,
) -> Report:
    """Run an export as cxai.app.export does, ended by signals, with its log on standard error."""
    need_descriptors(settings.in_flight, most_readers(settings))
    redaction, stream = Redaction(token), events or EventStream()
    return await as_command(
        settings,
        redaction,
        stream,
        lambda settings, stop: export(
            with_start_patience(settings),
            source,
            output,
            token,
            stop=stop,
            redaction=redaction,
            line_counter=line_counter,
            force=force,
            reopen_missing=reopen_missing,
            source_name=source_name,
            events=stream,
        ),
    )


async def work_as_command(
    settings: Settings, url: str, token: SecretStr, *, until_settled: bool
) -> Report:
    """Work at a shared export as cxai.app.worker.work does, ended by signals, with its log."""
    from cxai.app.worker import work  # noqa: PLC0415 - needs an extra

    need_descriptors(settings.in_flight, most_readers(settings))
    place, redaction, events = parse_engine_url(url), Redaction(token), EventStream()
    return await as_command(
        settings,
        redaction,
        events,
        lambda settings, stop: work(
            with_start_patience(settings),
            place,
            token,
            until_settled=until_settled,
            stop=stop,
            redaction=redaction,
            events=events,
        ),
    )


def with_start_patience(settings: Settings) -> Settings:
    """Wait less for the first reply on a terminal: its user wants to know soon."""
    if settings.start_patience_s is not None or not sys.stderr.isatty():
        return settings
    return settings.replace(start_patience_s=START_PATIENCE_ON_A_TERMINAL_S)


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end on an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
