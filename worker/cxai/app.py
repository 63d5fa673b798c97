"""The composition root: opens what a run needs, wires it, and closes it in reverse order."""

import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from cxai.api.base_url import origin_of
from cxai.api.client import ApiClient
from cxai.api.content_coding import Limits, check_codecs, decode
from cxai.api.token import Token
from cxai.clock import SystemClock
from cxai.closing import close_books, log_end
from cxai.core.backlog import Backlog
from cxai.core.bounds import Bounds
from cxai.core.ending import Tolerance
from cxai.core.entry import IdRule
from cxai.core.pipeline import Pipeline
from cxai.core.ports import Clock, Resource, Source
from cxai.core.room import Room
from cxai.core.run_state import ApiState, Blocked, Pause, WorkState
from cxai.core.secret import Secrets
from cxai.core.stop import StopRequest
from cxai.core.text import printable
from cxai.errors import CxaiError, DiskFullError, UsageError
from cxai.governor.governor import Governor
from cxai.governor.health import HealthSettings, State
from cxai.governor.local import Ceilings, LocalLimiter
from cxai.governor.patience import PatienceSettings
from cxai.inspect.report import Report
from cxai.ledger.committer import Committer
from cxai.ledger.form import ExportForm
from cxai.ledger.local import LocalLedger
from cxai.observe.logging import LOG
from cxai.observe.monitor import RunMonitor, Sample
from cxai.observe.redaction import Redaction
from cxai.observe.registry import open_observers
from cxai.observe.setup import Setup
from cxai.output.contents import PROGRESS_NAME, refuse_foreign, refuse_taken
from cxai.output.directory import OutputDirectory
from cxai.output.local_path import scheme_of
from cxai.output.registry import output_directory
from cxai.policy.rules import Rules
from cxai.resources.failures import FailureRows
from cxai.resources.options import RowOptions
from cxai.resources.reader import BodyReader, Decode
from cxai.resources.registry import open_resource
from cxai.settings import Settings
from cxai.sources.census import Census
from cxai.sources.options import SourceOptions
from cxai.sources.registry import open_source

# The first answer is waited for as long as this: nobody is watching.
_START_PATIENCE_S = 600.0


async def export(
    settings: Settings,
    source: Source,
    output: Path,
    token: SecretStr,
    *,
    stop: StopRequest | None = None,
    redaction: Redaction | None = None,
    census: Census | None = None,
    force: bool = False,
    reopen_missing: bool = False,
) -> Report:
    """Run one export and return how it ended. Nothing of the process is changed.

    `stop` ends it early. `redaction`, if the caller has a log of its own, learns of each token that
    replaces `token`. `census` counts the input's lines meanwhile, for the progress alone. `force`
    uses a directory that holds files of others. `reopen_missing` asks the IDs of parts again that
    are missing. A source that has to be closed is closed.
    Raises UsageError before anything is created, IntegrityError before the first request. A run
    that is stopped early is reported, not raised: what it has is committed. The last event of the
    log is `run_finished`, with level error if the exit code is not 0.
    """
    redaction = redaction or Redaction(token)
    check_codecs()
    run_id = str(uuid.uuid4())
    clock = SystemClock()
    started = clock.monotonic()
    resource = open_resource(
        settings.resource, RowOptions(settings.shape, run_id, settings.score_bands)
    )
    limiter = LocalLimiter(Ceilings(settings.rate, settings.burst, settings.adaptive), clock)
    client = _client(
        settings, resource, Token(token, settings.token_file, redaction.add), limiter, clock
    )
    directory = _directory(output, token, resource, force=force)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_entered(source))
        stack.enter_context(directory)
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="commit"))
        reading = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="read"))
        observers = open_observers(_setup(settings, directory, thread))
        committer = stack.enter_context(
            Committer(
                directory,
                _form(settings, resource),
                clock,
                part_bytes=settings.part_bytes,
                run_id=run_id,
                reopen=settings.retry,
                reopen_missing=reopen_missing,
                notice=LOG.warning,
            )
        )
        await stack.enter_async_context(client)
        backlog = Backlog(settings.backlog)
        governor = _governor(settings, backlog, limiter, client, clock)
        pipeline = Pipeline(
            source=source,
            ledger=LocalLedger(committer, thread),
            backlog=backlog,
            governor=governor,
            fetcher=client,
            reader=BodyReader(
                resource, _decoder(settings), settings.max_decoded_bytes, reading, redaction
            ),
            recorder=FailureRows(resource.layout.schema_version, run_id),
            clock=clock,
            rules=_rules(settings),
            bounds=_bounds(settings),
        )
        monitor = await stack.enter_async_context(
            RunMonitor(
                lambda: _sample(pipeline, governor, limiter, census, directory.path, settings),
                observers,
                clock,
                settings.stalled_after_s,
            )
        )
        with (stop or StopRequest()).passed_to(pipeline.stop):
            stopped_by = await _run(pipeline)
        report = Report(
            directory.path,
            pipeline.tally,
            clock.monotonic() - started,
            Tolerance(settings.max_failed, settings.allow_empty, settings.allow_none),
            stopped_by,
            governor.trouble,
            run_id,
        )
        report = close_books(report, committer)
        monitor.finished(report.as_dict())
    log_end(report)
    return report


def source_of(settings: Settings, names: Sequence[str], token: SecretStr) -> Source:
    """Return the source that `names` name; without any, standard input.

    It may take until the first ID is there. Raises UsageError if it can't be used, or can't be what
    the settings say.
    """
    rule = IdRule(settings.id_pattern, Secrets(token.get_secret_value()))
    return open_source(
        names, SourceOptions(rule, settings.column, settings.field, settings.allow_empty)
    )


@asynccontextmanager
async def _entered(source: Source) -> AsyncIterator[None]:
    """Enter a source that has something to close.

    A source that then can't be closed is logged and changes nothing: what it gave is acknowledged
    by then, or comes again.
    """
    if not isinstance(source, AbstractAsyncContextManager):
        yield
        return
    await source.__aenter__()
    try:
        yield
    finally:
        try:
            await source.__aexit__(*sys.exc_info())
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has ended as it has
            LOG.warning(
                "source_not_closed", reason=f"{type(error).__name__}: {error}".removesuffix(": ")
            )


def lasting_path(output: str) -> Path:
    """Return the path of an output directory, right even when the process changes its own.

    Raises UsageError for an empty one, which a Path would take for the current directory.
    """
    if not output:
        raise UsageError("The output directory is empty: name a path.")
    path = Path(output)
    is_name = output.startswith("~") or scheme_of(output)  # what it means is decided later
    return path if is_name else path.absolute()


async def _run(pipeline: Pipeline) -> CxaiError | None:
    """Run the pipeline; return what stopped it early, None if nothing did."""
    try:
        await pipeline.run()
    except CxaiError as error:
        return error
    return None


def _directory(
    output: Path, token: SecretStr, resource: Resource, *, force: bool
) -> OutputDirectory:
    """Return the output directory, if it can be one. Raises UsageError, with nothing created."""
    if Secrets(token.get_secret_value()).are_in(str(output)):
        raise UsageError(
            "The name of the output directory holds the API token. It is not shown here, but may be"
            " in your shell's history."
        )
    directory = output_directory(output)
    if not force:
        refuse_foreign(directory.path, resource.layout.all_sets)
    refuse_taken(directory.path)
    return directory


def _setup(settings: Settings, directory: OutputDirectory, thread: ThreadPoolExecutor) -> Setup:
    return Setup(
        settings.progress,
        settings.progress_s,
        settings.stalled_after_s,
        write_progress=partial(directory.replace, PROGRESS_NAME, durable=False),
        remove_progress=partial(directory.remove, PROGRESS_NAME),
        thread=thread,
    )


def _sample(
    pipeline: Pipeline,
    governor: Governor,
    limiter: LocalLimiter,
    census: Census | None,
    output: Path,
    settings: Settings,
) -> Sample:
    backlog, paused = pipeline.backlog, limiter.paused
    return Sample(
        tally=pipeline.tally,
        loads=pipeline.loads,
        work=WorkState(
            open=backlog.open,
            waiting=backlog.waiting,
            next_retry_s=backlog.next_due_s(),
            in_flight=pipeline.in_flight,
            input_ended=pipeline.input_ended,
            is_stopping=pipeline.ending,
        ),
        api=ApiState(
            url=governor.api,
            rate=limiter.rate,
            rate_ceiling=settings.rate,
            pause=Pause(*paused) if paused else None,
            in_doubt=governor.health.state is State.DOUBT,
            down_for_s=governor.outage_s,
            trouble=governor.trouble or "",
            advice=governor.advice,
            unanswered_s=governor.unanswered_s,
        ),
        expected_lines=census.lines if census else None,
        blocked=_blocked(pipeline.room, printable(output), settings.disk_patience_s),
    )


def _blocked(room: Room, place: str, at_most_s: float) -> Blocked | None:
    error, for_s = room.blocked_by, room.waited_s
    if error is None or for_s is None:
        return None
    return Blocked(place, for_s, at_most_s, error.lacking, isinstance(error, DiskFullError))


# --- from settings to what each part takes ---


def _form(settings: Settings, resource: Resource) -> ExportForm:
    return ExportForm(
        resource.layout,
        settings.shape,
        settings.compression,
        origin_of(settings.base_url),
        resource.bands_mark,
    )


def _decoder(settings: Settings) -> Decode:
    max_ratio = settings.max_ratio
    return lambda body, coding, most_bytes: decode(body, coding, Limits(most_bytes, max_ratio))


def _governor(
    settings: Settings, backlog: Backlog, limiter: LocalLimiter, client: ApiClient, clock: Clock
) -> Governor:
    start_s = settings.start_patience_s
    return Governor(
        backlog,
        limiter,
        clock,
        renew=client.renew,
        retries_per_s=settings.rate * settings.retry_share,
        health=HealthSettings(
            failures=settings.outage_after,
            others=settings.in_flight,
            probe_base_s=settings.backoff_base_s,
            probe_cap_s=settings.backoff_cap_s,
        ),
        patience=PatienceSettings(
            settings.outage_patience_s, _START_PATIENCE_S if start_s is None else start_s
        ),
        api=client.base_url,
    )


def _client(
    settings: Settings, resource: Resource, token: Token, limiter: LocalLimiter, clock: Clock
) -> ApiClient:
    return ApiClient(
        settings.base_url,
        token,
        clock,
        result_path=resource.path,
        depart=limiter.depart,
        in_flight=settings.in_flight,
        connect_timeout_s=settings.connect_timeout_s,
        read_timeout_s=settings.read_timeout_s,
        total_timeout_s=settings.total_timeout_s,
        max_wire_bytes=settings.max_wire_bytes,
        ca_file=settings.ca_file,
        proxy=settings.proxy,
    )


def _rules(settings: Settings) -> Rules:
    return Rules(
        max_attempts=settings.max_attempts,
        backoff_base_s=settings.backoff_base_s,
        backoff_cap_s=settings.backoff_cap_s,
        retry_after_cap_s=settings.retry_after_cap_s,
        check_status=settings.check_status,
        recheck_s=settings.recheck_s,
        patience_s=settings.patience_s,
        file_patience_s=settings.file_patience_s,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        in_flight=settings.in_flight,
        batch=settings.batch,
        batch_s=settings.batch_s,
        grace_s=settings.grace_s,
        disk_patience_s=settings.disk_patience_s,
    )
