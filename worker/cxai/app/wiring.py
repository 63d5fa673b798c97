"""From settings to the parts of a run that local.py and worker_run.py have in common.

They add those that differ: source, ledger and limiter.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from cxai.api.client import ApiClient
from cxai.api.content_coding import DecodeSettings, decode
from cxai.api.exchanges import chosen_exchange
from cxai.api.token import Token
from cxai.app.run import Pace, Run
from cxai.core.backlog import Backlog, Item
from cxai.core.ending import Tolerance
from cxai.core.events import EventStream, Level
from cxai.core.governor_ports import Limiter
from cxai.core.pipeline import Pipeline
from cxai.core.pipeline_settings import PipelineSettings
from cxai.core.ports import Clock, Fetcher, Ledger, Reader, Source
from cxai.core.resource import Resource
from cxai.governor.governor import Governor
from cxai.governor.health import HealthSettings
from cxai.governor.patience import PatienceSettings
from cxai.observe.redaction import Redaction
from cxai.policy.reply import Failure, Reply
from cxai.policy.settings import PolicySettings
from cxai.readers.sizing import LoopLoad, readers_for, usable_cores
from cxai.resources.failures import FailureRows
from cxai.resources.options import RowOptions, ScoreRanges
from cxai.resources.reader import BodyReader
from cxai.resources.reply_parser import ReplyParser
from cxai.settings import Settings
from cxai.settings.settings import START_PATIENCE_S


def wire_run(
    settings: Settings,
    *,
    source: Source,
    ledger: Ledger,
    backlog: Backlog,
    pace: Pace,
    client: ApiClient,
    fetcher: Fetcher,
    resource: Resource,
    reader: Reader,
    run_id: str,
    clock: Clock,
    bounds: PipelineSettings,
    events: EventStream,
) -> Run:
    """Return the run that these parts make; `fetcher` is `client`, or an adapter around it."""
    governor = _governor(settings, backlog, pace, client, clock, events)
    pipeline = Pipeline(
        source=source,
        ledger=ledger,
        backlog=backlog,
        governor=governor,
        fetcher=fetcher,
        reader=reader,
        row_writer=FailureRows(resource.layout.schema_version, run_id),
        clock=clock,
        rules=PolicySettings(
            max_attempts=settings.max_attempts,
            backoff_base_s=settings.backoff_base_s,
            backoff_cap_s=settings.backoff_cap_s,
            retry_after_cap_s=settings.retry_after_cap_s,
            check_status=settings.check_status,
            recheck_s=settings.recheck_s,
            patience_s=settings.not_ready_timeout_s,
            file_patience_s=settings.file_patience_s,
        ),
        bounds=bounds,
        on_reply=_request_events(events, clock) if settings.log_level is Level.DEBUG else None,
    )
    return Run(pipeline, governor, pace, settings)


@asynccontextmanager
async def open_reader(
    settings: Settings,
    rows: RowOptions,
    resource: Resource,
    redaction: Redaction,
    events: EventStream,
) -> AsyncIterator[Reader]:
    """Open the reader of replies: this process and, where they save time, reader processes.

    `resource` is the one of the settings, opened with `rows`. The secrets of `redaction` are
    removed from all that is read.
    """
    ratio = settings.max_ratio
    parser = ReplyParser(
        resource,
        lambda body, coding, most: decode(body, coding, DecodeSettings(most, ratio)),
        redaction,
    )
    with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
        own = BodyReader(parser, settings.max_decoded_bytes, thread)
        count = most_readers(settings)
        if not count:
            yield own
            return
        # Most runs have a low rate, and don't need these imports.
        from cxai.readers.pool import ReaderPool  # noqa: PLC0415
        from cxai.readers.wire import ReaderSettings  # noqa: PLC0415

        ranges = rows.score_bands
        bands = None if ranges is None else (str(ranges.path), ranges.content)
        reader_settings = ReaderSettings(
            settings.resource, rows.shape, rows.run_id, bands, settings.max_ratio
        )
        async with ReaderPool(
            own,
            reader_settings,
            count,
            lambda: [secret.get_secret_value() for secret in redaction.secrets],
            load=LoopLoad() if settings.readers == "auto" else None,
            emit=events.emit,
        ) as pool:
            yield pool


def most_readers(settings: Settings) -> int:
    """Return how many reader processes a run may have at a time."""
    return readers_for(settings.readers, settings.rate, usable_cores())


def _governor(
    settings: Settings,
    backlog: Backlog,
    limiter: Limiter,
    client: ApiClient,
    clock: Clock,
    events: EventStream,
) -> Governor:
    start_s = settings.start_patience_s

    def renew() -> bool:
        events.emit("token_refused", cause=governor.trouble)
        if is_renewed := client.renew():
            events.emit("token_renewed")
        return is_renewed

    governor = Governor(
        backlog,
        limiter,
        clock,
        renew=renew,
        retries_per_s=settings.rate * settings.retry_share,
        health=HealthSettings(
            failures=settings.outage_after,
            others=settings.in_flight,
            probe_base_s=settings.backoff_base_s,
            probe_cap_s=settings.backoff_cap_s,
        ),
        patience=PatienceSettings(
            settings.outage_patience_s, START_PATIENCE_S if start_s is None else start_s
        ),
        api=client.base_url,
    )
    return governor


def _request_events(events: EventStream, clock: Clock) -> Callable[[Item, Reply | Failure], None]:
    """Return a hook that emits each request with its reply; `ms` is from its turn to the reply."""

    def emit(item: Item, reply: Reply | Failure) -> None:
        events.emit(
            "request_done",
            id=item.entry.id,
            endpoint=item.endpoint.value,
            attempt=item.requests,
            status=reply.status,
            failure=None if isinstance(reply, Reply) else reply.reason,
            bytes=len(reply.body) if isinstance(reply, Reply) else None,
            ms=round(1_000 * (clock.monotonic() - item.left_s)),
        )

    return emit


def score_ranges(settings: Settings) -> ScoreRanges | None:
    """Return the score ranges of the settings. Raises UsageError if their file can't be read."""
    return None if settings.score_bands is None else ScoreRanges.read(settings.score_bands)


def api_client(
    settings: Settings,
    resource: Resource,
    token: Token,
    send_slot: Callable[[], Awaitable[None]],
    clock: Clock,
    events: EventStream,
) -> ApiClient:
    """Return the client of the API; `send_slot` is awaited before each request is sent."""
    return ApiClient(
        settings.base_url,
        token,
        clock,
        open_exchange=chosen_exchange(events.emit),
        result_path=resource.path,
        send_slot=send_slot,
        in_flight=settings.in_flight,
        connect_timeout_s=settings.connect_timeout_s,
        read_timeout_s=settings.read_timeout_s,
        total_timeout_s=settings.total_timeout_s,
        max_wire_bytes=settings.max_wire_bytes,
        ca_file=settings.ca_file,
        proxy=settings.proxy,
    )


def tolerance_of(settings: Settings) -> Tolerance:
    """Return how much may be missing from a run that still counts as complete."""
    return Tolerance(settings.max_failed, settings.allow_empty, settings.allow_none)
