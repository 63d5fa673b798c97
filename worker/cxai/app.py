"""The composition root: opens what a run needs, wires it, and closes it in reverse order."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

from pydantic import SecretStr

from cxai.api.base_url import origin_of
from cxai.api.client import ApiClient
from cxai.api.content_coding import Limits, check_codecs
from cxai.api.token import Token
from cxai.clock import SystemClock
from cxai.closing import close_books, log_end
from cxai.core.ending import Tolerance
from cxai.core.entry import IdRule
from cxai.core.pipeline import Bounds, Pipeline
from cxai.core.ports import Clock, Source
from cxai.core.secret import Secrets
from cxai.core.stop import StopRequest
from cxai.errors import CxaiError, UsageError
from cxai.governor.breaker import BreakerRules
from cxai.governor.local import Ceilings, LocalLimiter
from cxai.inspect.report import Report, printable
from cxai.ledger.form import ExportForm
from cxai.ledger.local import LocalLedger
from cxai.ledger.store import Store
from cxai.observe.redaction import Redaction
from cxai.observe.snapshot import NoRoom, Pulse
from cxai.observe.watch import Watch
from cxai.output.contents import refuse_foreign, refuse_taken
from cxai.output.directory import OutputDirectory
from cxai.output.local_path import local_path
from cxai.policy.policy import Rules
from cxai.resources.cx_ai.bands import NO_BANDS, Bands
from cxai.resources.cx_ai.bands_file import load_bands
from cxai.resources.cx_ai.lines import Lines
from cxai.resources.reader import BodyReader
from cxai.settings import Settings
from cxai.sources.census import Census
from cxai.sources.file import FileSource

# The first reply is waited for as long as this: nobody is watching.
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
    are missing.
    Raises UsageError before anything is created, IntegrityError before the first request. A run
    that is stopped early is reported, not raised: what it has is committed. The last event of the
    log is `run_finished`, with level error if the exit code is not 0.
    """
    redaction = redaction or Redaction(token)
    check_codecs()
    bands = load_bands(settings.score_bands) if settings.score_bands else None
    run_id = str(uuid.uuid4())
    clock = SystemClock()
    started = clock.monotonic()
    limiter = _limiter(settings, clock)
    client = _client(settings, Token(token, settings.token_file, redaction.add), limiter, clock)
    output = _checked(output, token, force=force)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(OutputDirectory(output))
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="commit"))
        reading = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="read"))
        store = stack.enter_context(
            Store(
                directory,
                _form(settings, bands),
                clock,
                part_bytes=settings.part_bytes,
                run_id=run_id,
                reopen=settings.retry,
                reopen_missing=reopen_missing,
            )
        )
        await stack.enter_async_context(client)
        pipeline = Pipeline(
            source=source,
            ledger=LocalLedger(store, thread),
            limiter=limiter,
            fetcher=client,
            reader=BodyReader(
                Limits(settings.max_decoded_bytes, settings.max_ratio), reading, redaction
            ),
            recorder=Lines(settings.shape, run_id, bands),
            clock=clock,
            rules=_rules(settings),
            bounds=_bounds(settings),
            host=client.base_url,
        )
        watch = Watch(
            lambda: _pulse(pipeline, limiter, census, output, settings, client.base_url),
            directory,
            thread,
            settings,
            clock,
        )
        with (stop or StopRequest()).passed_to(pipeline.stop):
            stopped_by = await _run(pipeline, watch)
        report = Report(
            output,
            pipeline.tally,
            clock.monotonic() - started,
            Tolerance(settings.max_failed, settings.allow_empty, settings.allow_none),
            stopped_by,
            pipeline.trouble,
            run_id,
        )
        report = close_books(report, store, directory, settings.compression)
    log_end(report)
    return report


def source_of(settings: Settings, names: Sequence[str], token: SecretStr) -> FileSource:
    """Return the files of these names as a source; without any, standard input.

    Nothing is opened yet: `check` of it does that. Raises UsageError if the settings contradict
    each other.
    """
    rule = IdRule(settings.id_pattern, Secrets(token.get_secret_value()))
    return FileSource(names, rule, column=settings.column, field=settings.field)


def _checked(output: Path, token: SecretStr, *, force: bool) -> Path:
    """Return the output directory, if it can be one. Raises UsageError, with nothing created."""
    if Secrets(token.get_secret_value()).are_in(str(output)):
        raise UsageError(
            "The name of the output directory holds the API token. It is not shown here, but may be"
            " in your shell's history."
        )
    output = local_path(output, "The output directory")
    if not force:
        refuse_foreign(output)
    refuse_taken(output)
    return output


async def _run(pipeline: Pipeline, watch: Watch) -> CxaiError | None:
    """Run the pipeline under watch; return what stopped it early, None if nothing did."""
    async with watch:
        try:
            await pipeline.run()
        except CxaiError as error:
            return error
    return None


def _pulse(
    pipeline: Pipeline,
    limiter: LocalLimiter,
    census: Census | None,
    output: Path,
    settings: Settings,
    api: str,
) -> Pulse:
    return Pulse(
        tally=pipeline.tally,
        in_flight=pipeline.in_flight,
        loads=pipeline.loads,
        no_room=_no_room(pipeline, output, settings),
        open=pipeline.backlog.open,
        waiting=pipeline.backlog.waiting,
        next_retry_s=pipeline.backlog.next_due_s(),
        input_ended=pipeline.input_ended,
        expected_lines=census.lines if census else None,
        ending=pipeline.ending,
        paused=limiter.paused,
        outage_s=limiter.outage_s,
        trouble=pipeline.trouble,
        rate_allowed=limiter.rate,
        rate_ceiling=settings.rate,
        in_flight_allowed=limiter.most_in_flight,
        in_flight_ceiling=settings.in_flight,
        api=api,
        unanswered_s=pipeline.unanswered_s,
        advice=pipeline.advice,
    )


def _no_room(pipeline: Pipeline, output: Path, settings: Settings) -> NoRoom | None:
    waited_s = pipeline.disk_full_s
    if waited_s is None:
        return None
    return NoRoom(printable(output), waited_s, settings.disk_patience_s, pipeline.lacking_room)


def _form(settings: Settings, bands: Bands | None) -> ExportForm:
    mark = NO_BANDS
    if bands is not None and settings.score_bands is not None:
        mark = bands.mark(settings.score_bands.name)
    return ExportForm(settings.shape, settings.compression, origin_of(settings.base_url), mark)


def _limiter(settings: Settings, clock: Clock) -> LocalLimiter:
    return LocalLimiter(
        Ceilings(settings.rate, settings.in_flight, settings.burst, settings.adaptive),
        clock,
        BreakerRules(settings.outage_after, settings.backoff_base_s, settings.backoff_cap_s),
    )


def _client(settings: Settings, token: Token, limiter: LocalLimiter, clock: Clock) -> ApiClient:
    return ApiClient(
        settings.base_url,
        token,
        clock,
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
        backlog=settings.backlog,
        batch=settings.batch,
        batch_s=settings.batch_s,
        grace_s=settings.grace_s,
        retries_per_s=settings.rate * settings.retry_share,
        outage_patience_s=settings.outage_patience_s,
        start_patience_s=_START_PATIENCE_S
        if settings.start_patience_s is None
        else settings.start_patience_s,
        disk_patience_s=settings.disk_patience_s,
    )
