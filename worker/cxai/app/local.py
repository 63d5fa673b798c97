"""The composition root of a run on one machine, which writes to a directory."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from cxai.api.base_url import origin_of
from cxai.api.content_coding import check_codecs
from cxai.api.token import Token
from cxai.app.closing import close_books, emit_end
from cxai.app.input import entered
from cxai.app.wiring import api_client, open_reader, score_ranges, tolerance_of, wire_run
from cxai.clock import SystemClock
from cxai.core.backlog import Backlog
from cxai.core.events import EventStream
from cxai.core.pipeline_settings import PipelineSettings
from cxai.core.ports import GroupSource, RemoteSource, Source
from cxai.core.resource import Resource
from cxai.core.secret import Secrets
from cxai.core.secret_str import SecretStr
from cxai.core.stop import StopRequest
from cxai.core.text import printable
from cxai.errors import UsageError
from cxai.governor.local import LocalLimiter, RateSettings
from cxai.inspect.report import Report
from cxai.ledger.committer import Committer
from cxai.ledger.form import ExportForm
from cxai.ledger.local import LocalLedger
from cxai.observe.monitor import RunMonitor, Sample
from cxai.observe.redaction import Redaction
from cxai.observe.registry import open_observers
from cxai.observe.setup import ProgressPlace, Setup
from cxai.output.contents import PROGRESS_NAME, refuse_foreign, refuse_taken
from cxai.output.directory import OutputDirectory
from cxai.output.local_path import local_path, scheme_of
from cxai.resources.options import RowOptions
from cxai.resources.registry import open_resource
from cxai.settings import Settings
from cxai.settings.settings import PART_EVERY_OF_A_QUEUE_S
from cxai.sources.line_counter import LineCounter

_FIRST_BATCH_S = 0.02  # seconds until the first commit: a run shows soon that it works


async def export(
    settings: Settings,
    source: Source,
    output: Path,
    token: SecretStr,
    *,
    stop: StopRequest | None = None,
    redaction: Redaction | None = None,
    line_counter: LineCounter | None = None,
    force: bool = False,
    reopen_missing: bool = False,
    source_name: str = "",
    events: EventStream | None = None,
) -> Report:
    """Run one export and return its report. No state of the process is changed.

    `stop` ends it early. Each token that replaces `token` is added to `redaction`, which a caller
    with a log of its own passes. `line_counter` counts the lines of the input for the progress.
    `force` accepts a directory with other files. `reopen_missing` fetches the IDs of missing parts
    again. The source is closed; `source_name` is its name for people. The last event is
    `run_finished`.
    Raises UsageError before anything is created, IntegrityError before the first request. A run
    that is stopped early is reported, not raised: its results are committed.
    """
    events = events or EventStream()
    redaction = redaction or Redaction(token)
    check_codecs()
    run_id = str(uuid.uuid4())
    clock = SystemClock()
    started_at, started = clock.utc(), clock.monotonic()
    rows = RowOptions(settings.shape, run_id, score_ranges(settings))
    resource = open_resource(settings.resource, rows)
    limiter = LocalLimiter(RateSettings(settings.rate, settings.burst, settings.adaptive), clock)
    renewable = Token(token, settings.token_file, redaction.add)
    client = api_client(settings, resource, renewable, limiter.send_slot, clock, events)
    origin, bands = origin_of(settings.base_url), resource.bands_mark
    form = ExportForm(resource.layout, settings.shape, settings.compression, origin, bands)
    directory = _directory(output, token, resource, force=force)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(entered(source, events.emit))
        stack.enter_context(directory)
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="commit"))
        progress_file = ProgressPlace(
            partial(directory.replace, PROGRESS_NAME, durable=False),
            partial(directory.remove, PROGRESS_NAME),
            thread,
        )
        observers = open_observers(
            Setup(settings.progress, settings.progress_s, events.emit, progress_file)
        )
        committer = stack.enter_context(
            Committer(
                directory,
                form,
                clock,
                part_bytes=settings.part_bytes,
                run_id=run_id,
                reopen=settings.reopen,
                reopen_missing=reopen_missing,
                emit=events.emit,
                part_every_s=part_every_s(settings, is_queue=source.is_queue),
                is_queue=source.is_queue,
                group=source.group if isinstance(source, GroupSource) else None,
            )
        )
        if isinstance(source, GroupSource) and committer.has_read_by_group:
            source.expect_group()
        opening = open_reader(settings, rows, resource, redaction, events)
        reader = await stack.enter_async_context(opening)
        await stack.enter_async_context(client)
        run = wire_run(
            settings,
            source=source,
            ledger=LocalLedger(committer, thread),
            backlog=Backlog(settings.backlog),
            pace=limiter,
            client=client,
            fetcher=client,
            resource=resource,
            reader=reader,
            run_id=run_id,
            clock=clock,
            bounds=_bounds(settings),
            events=events,
        )
        place = printable(directory.path)
        remote = source if isinstance(source, RemoteSource) else None

        def sample() -> Sample:
            seen = run.sample(place, line_counter.lines if line_counter else None)
            if remote is None or seen.blocked is not None or seen.work.open:
                return seen
            return replace(seen, blocked=remote.blocked)

        monitor = RunMonitor(sample, observers, clock, settings.stalled_after_s, events)
        await stack.enter_async_context(monitor)
        run.emit_start(events.emit, run_id, source_name, place)
        with (stop or StopRequest()).passed_to(run.pipeline.stop):
            stopped_by = await run.run()
        report = Report(
            directory.path,
            run.pipeline.tally,
            clock.monotonic() - started,
            tolerance_of(settings),
            stopped_by,
            run.governor.trouble,
            run_id,
            started_at,
        )
        report = close_books(report, committer, events.emit)
        monitor.report = report.as_dict()
    emit_end(report, events.emit, is_endless=source.is_queue and settings.until_idle_s is None)
    return report


def part_every_s(settings: Settings, *, is_queue: bool) -> float | None:
    """Return the age in seconds at which a part is sealed during the run, None for never.

    A run over a queue without `until_idle_s` never ends, so that its parts need an age.
    """
    if settings.part_every_s is None:
        return PART_EVERY_OF_A_QUEUE_S if is_queue and settings.until_idle_s is None else None
    return settings.part_every_s or None


def lasting_path(output: str) -> Path:
    """Return the path of an output directory, independent of the current directory.

    Raises UsageError for an empty one, which as a Path would be the current directory.
    """
    if not output:
        raise UsageError("The output directory is empty: name a path.")
    path = Path(output)
    is_name = output.startswith("~") or scheme_of(output)  # resolved or refused later
    return path if is_name else path.absolute()


def _directory(
    output: Path, token: SecretStr, resource: Resource, *, force: bool
) -> OutputDirectory:
    """Return the output directory. Raises UsageError if it can't be used; nothing is created."""
    if Secrets(token.get_secret_value()).are_in(str(output)):
        raise UsageError(
            "The name of the output directory holds the API token. It is not shown here, but may be"
            " in your shell's history."
        )
    directory = OutputDirectory(local_path(output, "The output directory"))
    if not force:
        refuse_foreign(directory.path, resource.layout.all_sets)
    refuse_taken(directory.path)
    return directory


def _bounds(settings: Settings) -> PipelineSettings:
    return PipelineSettings(
        in_flight=settings.in_flight,
        batch=settings.batch,
        batch_s=settings.batch_s,
        first_batch_s=_FIRST_BATCH_S,
        grace_s=settings.grace_s,
        disk_patience_s=settings.disk_patience_s,
    )
