"""The composition root: opens what a run needs, wires it, and closes it in reverse order."""

import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from cxai.api.base_url import origin_of
from cxai.api.client import ApiClient
from cxai.api.content_coding import Limits, check_codecs
from cxai.api.token import Token
from cxai.cli.gc_tuning import rare_collections
from cxai.cli.signals import stop_signals
from cxai.clock import SystemClock
from cxai.core.ending import Tolerance
from cxai.core.layout import NO_BANDS
from cxai.core.pipeline import Bounds, Pipeline
from cxai.core.ports import Clock, Source
from cxai.core.tally import Tally
from cxai.errors import CommitError, CxaiError, DiskFullError, IntegrityError
from cxai.governor.breaker import BreakerRules
from cxai.governor.local import Ceilings, LocalLimiter
from cxai.inspect.report import Report, printable
from cxai.ledger.committer import Committer
from cxai.ledger.form import ExportForm
from cxai.ledger.local import LocalLedger
from cxai.observe.logging import LOG
from cxai.observe.redaction import Redaction
from cxai.observe.snapshot import NoRoom, Pulse
from cxai.observe.watch import Watch
from cxai.output.contents import refuse_foreign, refuse_taken
from cxai.output.registry import output_directory
from cxai.policy.policy import Rules
from cxai.policy.verdict import ANSWERED
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.bands_file import load_bands
from cxai.resources.cx_ai.layout import LAYOUT
from cxai.resources.cx_ai.lines import Lines
from cxai.resources.reader import BodyReader
from cxai.settings import LogFormat, Settings
from cxai.sources.census import Census

_MOST_FIELDS = 5  # of drift, named in the log
_LOGGED_REASONS = 3


async def export(
    settings: Settings,
    source: Source,
    output: Path,
    token: SecretStr,
    census: Census | None = None,
    *,
    force: bool = False,
    reopen_missing: bool = False,
) -> Report:
    """Run one export and return how it ended.

    `census` counts the input's lines meanwhile, for the progress alone. `force` uses a directory
    that holds files of others. `reopen_missing` asks the IDs of parts again that are missing.
    Raises UsageError before anything is created, IntegrityError before the first request. A run
    that is stopped early is reported, not raised: what it has is committed. The last event of the
    log is `run_finished`, with level error if the exit code is not 0.
    """
    redaction = Redaction(token)
    LOG.configure(redaction, as_json=settings.log_format is LogFormat.JSON)
    check_codecs()
    bands = load_bands(settings.score_bands) if settings.score_bands else None
    run_id = str(uuid.uuid4())
    clock = SystemClock()
    started = clock.monotonic()
    limiter = _limiter(settings, clock)
    client = _client(settings, Token(token, settings.token_file, redaction.add), limiter, clock)
    directory = output_directory(output)
    output = directory.path
    if not force:
        refuse_foreign(output, LAYOUT.all_sets)
    refuse_taken(output)
    async with AsyncExitStack() as stack:
        stop_request = stack.enter_context(stop_signals())
        stack.enter_context(directory)
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="commit"))
        reading = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="read"))
        committer = stack.enter_context(
            Committer(
                directory,
                _form(settings, bands),
                clock,
                part_bytes=settings.part_bytes,
                run_id=run_id,
                reopen=settings.retry,
                reopen_missing=reopen_missing,
                notice=LOG.warning,
            )
        )
        await stack.enter_async_context(client)
        pipeline = Pipeline(
            source=source,
            ledger=LocalLedger(committer, thread),
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
        stop_request.pass_to(pipeline.stop)
        stack.enter_context(rare_collections())
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
        # After these, but for a full disk, the next start has to recover.
        is_broken = isinstance(stopped_by, CommitError | IntegrityError)
        if isinstance(stopped_by, DiskFullError) or not is_broken:
            try:
                report.tally.committed = committer.settled()
                report.tally.unfetched = committer.unfetched()
                committer.end_run(report.ended, report.as_dict())
            except (CommitError, IntegrityError) as error:
                LOG.warning("run_not_closed", reason=str(error))
                weighs_more = isinstance(error, IntegrityError) or stopped_by is None
                report = replace(report, stopped_by=error if weighs_more else stopped_by)
    _log_reasons(pipeline.tally)
    _log_end(report)
    return report


def _log_reasons(tally: Tally) -> None:
    """Log why IDs failed in this run, with the API's words where it had any."""
    for verdict, reasons in tally.reasons.items():
        if verdict in ANSWERED:
            continue
        commonest = [{"reason": why, "ids": n} for why, n in reasons.most_common(_LOGGED_REASONS)]
        LOG.warning("ids_failed", verdict=verdict.value, ids=tally.now[verdict], reasons=commonest)


async def _run(pipeline: Pipeline, watch: Watch) -> CxaiError | None:
    """Run the pipeline under watch; return what stopped it early, None if nothing did."""
    async with watch:
        try:
            await pipeline.run()
        except CxaiError as error:
            return error
    return None


def _log_end(report: Report) -> None:
    tally = report.tally
    if tally.drift:
        LOG.warning(
            "undocumented_fields",
            unknown=[path for path, _ in tally.unknown.most_common(_MOST_FIELDS)],
            unknown_paths=len(tally.unknown),
            absent_paths=len(tally.absent),
            more=tally.more_drift,
        )
    LOG.end(
        "run_finished",
        exit_code=int(report.exit_code),
        ended=report.ended,
        reason=report.ending.reason.value,
        headline=report.ending.headline,
        ids=tally.ids,
        failed=tally.failed,
        open=tally.open,
    )


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
    origin = origin_of(settings.base_url)
    return ExportForm(LAYOUT, settings.shape, settings.compression, origin, mark)


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


def _start_patience_s(settings: Settings) -> float:
    """Return how long the first reply is waited for: someone who looks on wants to know soon."""
    given = settings.start_patience_s
    if given is None:
        return 60.0 if sys.stderr.isatty() else 600.0
    return given


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        in_flight=settings.in_flight,
        backlog=settings.backlog,
        batch=settings.batch,
        batch_s=settings.batch_s,
        grace_s=settings.grace_s,
        retries_per_s=settings.rate * settings.retry_share,
        outage_patience_s=settings.outage_patience_s,
        start_patience_s=_start_patience_s(settings),
        disk_patience_s=settings.disk_patience_s,
    )
