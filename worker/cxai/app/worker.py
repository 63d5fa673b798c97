"""The composition root of one worker among many: it works at an export that a database keeps.

What differs from a run on one machine is source, ledger and pace; the pipeline between them is the
same.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

from cxai.api.content_coding import check_codecs
from cxai.api.token import Token
from cxai.app.closing import emit_end
from cxai.app.shared_export import SharedExport, opened, terms_now
from cxai.app.terms import can_be_followed, ranges_of
from cxai.app.waiting import emit_waits
from cxai.app.wiring import Run, client_of, open_reader, tolerance_of, wired
from cxai.clock import SystemClock
from cxai.cluster.fetcher import GovernedFetcher
from cxai.cluster.holdings import Holdings
from cxai.cluster.ledger import ClusterLedger
from cxai.cluster.limiter import ClusterLimiter
from cxai.cluster.manifest import Manifest
from cxai.cluster.membership import Membership
from cxai.cluster.place import claim_place
from cxai.cluster.publishing import Publishing
from cxai.cluster.restored import refuse_restored
from cxai.cluster.slots import Slots
from cxai.cluster.source import ClusterSource
from cxai.cluster.tally import tally_of
from cxai.cluster.trouble import as_trouble_of_a_run
from cxai.cluster.url import EngineUrl
from cxai.core.backlog import Backlog
from cxai.core.events import EventStream
from cxai.core.pipeline_settings import PipelineSettings
from cxai.core.room import Room
from cxai.core.run_state import Blocked
from cxai.core.secret_str import SecretStr
from cxai.core.stop import StopRequest
from cxai.errors import BlockedError, CxaiError, FencedError, TermsChangedError, UsageError
from cxai.inspect.report import Report
from cxai.inspect.shared_report import SharedReport
from cxai.objects.port import ObjectStore, StoreError
from cxai.observe.monitor import RunMonitor, Sample
from cxai.observe.redaction import Redaction
from cxai.observe.registry import open_observers
from cxai.observe.setup import Setup
from cxai.observe.state_text import sentence
from cxai.resources.failures import FailureRows
from cxai.resources.options import RowOptions
from cxai.resources.registry import open_resource
from cxai.settings import Settings

_OBJECT_BYTES = 64 << 20
"""Lines of one object, before compression, at most."""

_AHEAD = 200
"""IDs that a worker claims ahead of its requests: few enough that all share the end of an input."""

_MANIFEST_S = 10.0

_TERMS_S = 2.0
"""How often it is looked whether the terms of the export have changed."""


async def work(
    settings: Settings,
    url: EngineUrl,
    token: SecretStr,
    *,
    until_settled: bool = False,
    stop: StopRequest | None = None,
    redaction: Redaction | None = None,
    events: EventStream | None = None,
) -> Report:
    """Work at an export until stopped or, with `until_settled`, until nothing is left to do.

    Form, limits and destination are those of the export; `settings` has what is a worker's own. A
    worker that others took for dead starts over as a new one, and so does one that can't follow new
    terms. The report is that of the whole export.
    A database or a store that can't be used at the start is waited for, up to `outage_patience_s`.
    Raises UsageError, IntegrityError and BlockedError before the first request; what comes later is
    reported, as by cxai.app.export.
    """
    check_codecs()
    stop, redaction = stop or StopRequest(), redaction or Redaction(token)
    events = events or EventStream()

    async def work_once() -> Report:
        async with opened(url, settings) as export:
            worker = _Worker(export, token, redaction, events, until_settled=until_settled)
            return await worker.work(stop)

    while True:
        report = await _begun(work_once, settings, stop, events)
        if not isinstance(report.stopped_by, FencedError | TermsChangedError):
            emit_end(report, events.emit, is_endless=not until_settled)
            return report
        events.emit("worker_replaced", reason=str(report.stopped_by))


async def _begun(
    work_once: Callable[[], Awaitable[Report]],
    settings: Settings,
    stop: StopRequest,
    events: EventStream,
) -> Report:
    """Do the work, as soon as it can begin: once it has, it raises no BlockedError."""
    ending = asyncio.Event()
    room = Room(SystemClock(), settings.outage_patience_s, ending)
    saying = asyncio.create_task(emit_waits(room, events.emit))
    try:
        with stop.passed_to(lambda _why: ending.set()):
            return await room.wait_for(work_once)
    finally:
        saying.cancel()


class _Worker:
    """One worker of an export, from its registration until it leaves."""

    def __init__(
        self,
        export: SharedExport,
        token: SecretStr,
        redaction: Redaction,
        events: EventStream,
        *,
        until_settled: bool,
    ) -> None:
        self._export = export
        self._token = token
        self._redaction = redaction
        self._events = events
        self._until_settled = until_settled
        self._clock = SystemClock()
        self._run_id = str(uuid.uuid4())
        books, store, form = export.books, export.store, export.form
        self._holdings = Holdings()
        self._blocked_since: float | None = None
        self._publishing = Publishing(books, store, form.compression)
        self._manifest = Manifest(books, store, export.written, form.sets, form.compression)
        self._membership = Membership(
            books, self._clock, export.settings.worker_ttl_s, lambda: sentence(self._monitor.look())
        )

    async def work(self, stop: StopRequest) -> Report:
        """Work until stopped, or done; return the report of the export."""
        export = self._export
        self._started_at, started = self._clock.utc(), self._clock.monotonic()
        await self._register()
        async with AsyncExitStack() as stack:
            self._run = await self._wired(stack)
            self._monitor = RunMonitor(
                self._sample,
                open_observers(self._setup()),
                self._clock,
                export.settings.stalled_after_s,
                self._events,
            )
            await stack.enter_async_context(self._monitor)
            self._run.emit_start(
                self._events.emit, self._run_id, str(export.books.url), export.store.location
            )
            with stop.passed_to(self._run.pipeline.stop):
                stopped_by = await self._run.to_its_end(
                    self._membership.keep(self._emit_gone),
                    self._publishing.keep_repairing(),
                    self._keep_manifest(),
                    self._watch_terms(),
                )
            stopped_by = stopped_by or await self._finish()
            report = await self._report(stopped_by, self._clock.monotonic() - started)
            self._monitor.finished(report.as_dict())
        return report

    async def _register(self) -> None:
        export, form = self._export, self._export.form
        with as_trouble_of_a_run():
            await _check(export.store)
            await refuse_restored(
                export.books, export.store, form.layout.all_sets, form.compression
            )
            await claim_place(export.books, export.store)
        name = f"{socket.gethostname()}/{os.getpid()}"
        await export.books.register(name, worker_ttl_s=export.settings.worker_ttl_s)

    async def _wired(self, stack: AsyncExitStack) -> Run:
        export, settings, clock = self._export, self._export.settings, self._clock
        rows = RowOptions(settings.shape, self._run_id, ranges_of(export.written))
        resource = open_resource(settings.resource, rows)
        backlog = Backlog(2 * settings.flush_ids + _AHEAD)
        source = self._source = ClusterSource(
            export.books,
            self._holdings,
            lambda: min(backlog.capacity - backlog.open - _AHEAD, _AHEAD - backlog.ready),
            until_settled=self._until_settled,
            on_drained=self._flush,
        )
        await stack.enter_async_context(source)
        pace = self._limiter = self._pace()
        client = client_of(
            settings,
            resource,
            Token(self._token, settings.token_file, self._redaction.add),
            pace.send_slot,
            clock,
            self._events,
        )
        await stack.enter_async_context(client)
        await stack.enter_async_context(pace)
        ledger = ClusterLedger(
            export.books,
            export.store,
            self._holdings,
            self._publishing,
            FailureRows(resource.layout.schema_version, self._run_id),
            clock,
            settings.compression,
            stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="pack")),
        )
        return wired(
            settings,
            source=source,
            ledger=ledger,
            backlog=backlog,
            pace=pace,
            client=client,
            fetcher=GovernedFetcher(client, pace),
            resource=resource,
            reader=await stack.enter_async_context(
                open_reader(settings, rows, resource, self._redaction, self._events)
            ),
            run_id=self._run_id,
            clock=clock,
            bounds=_bounds(settings),
            events=self._events,
        )

    def _flush(self) -> None:
        self._run.pipeline.flush()

    def _pace(self) -> ClusterLimiter:
        settings, limits = self._export.settings, self._export.account.limits
        worker = self._export.books.worker
        assert worker is not None  # noqa: S101 - it was registered
        slots = Slots(limits, worker, self._clock, total_timeout_s=settings.total_timeout_s)
        return ClusterLimiter(
            limits, slots, self._clock, rate=settings.rate, adaptive=settings.adaptive
        )

    async def _finish(self) -> CxaiError | None:
        """Publish what is committed and not published yet, and write the manifest."""
        try:
            with as_trouble_of_a_run():
                await self._publishing.repair()
                await self._manifest.write()
        except CxaiError as error:
            return error
        return None

    async def _keep_manifest(self) -> None:
        while True:
            await asyncio.sleep(_MANIFEST_S)
            with suppress(BlockedError), as_trouble_of_a_run():
                await self._manifest.refresh()

    async def _watch_terms(self) -> None:
        """Raise TermsChangedError once this worker can't follow the terms that hold by then."""
        export = self._export
        while True:
            await asyncio.sleep(_TERMS_S)
            with suppress(BlockedError):
                now = await terms_now(export.books, export.account)
                if not can_be_followed(export.terms, now):
                    raise TermsChangedError

    async def _report(self, stopped_by: CxaiError | None, elapsed_s: float) -> Report:
        export, own = self._export, self._run.pipeline.tally
        settings = export.settings
        may_be_empty = settings.allow_empty
        try:
            counts = await export.books.counts()
            whole = tally_of(counts, own)
            may_be_empty |= counts.fed  # if it is empty, its feeder was given --allow-empty
        except BlockedError as error:
            whole, stopped_by = own, stopped_by or error
        return SharedReport(
            Path(export.store.location),
            whole,
            elapsed_s,
            replace(tolerance_of(settings), allow_empty=may_be_empty),
            stopped_by,
            self._run.governor.trouble,
            self._run_id,
            self._started_at,
            own,
            export.store.location,
            str(export.books.url),
        )

    # --- what is seen of it ---

    def _sample(self) -> Sample:
        seen, pace = self._run.sample(self._export.store.location), self._limiter
        waits_for = pace.waits_for if seen.work.open else self._source.waits_for
        api = replace(seen.api, rate_ceiling=pace.rate_limit, waits_for=waits_for)
        return replace(seen, api=api, blocked=self._blocked() or seen.blocked)

    def _blocked(self) -> Blocked | None:
        """Return the first place that can't be used, and since when."""
        now = self._clock.monotonic()
        for place, cause in self._troubles():
            since = self._blocked_since = self._blocked_since or now
            return Blocked(place, now - since, None, cause, is_full=False)
        self._blocked_since = None
        return None

    def _troubles(self) -> Iterator[tuple[str, str]]:
        if cause := self._membership.cause or self._export.account.limits.cause:
            yield f"the database {self._export.books.url}", cause
        if trouble := self._publishing.trouble:
            yield self._publishing.troubled_place, trouble

    def _setup(self) -> Setup:
        settings = self._export.settings
        return Setup(settings.progress, settings.progress_s, self._events.emit)

    def _emit_gone(self, count: int) -> None:
        reason = "they stopped reporting; other workers get their IDs"
        self._events.emit("workers_gone", workers=count, reason=reason)


async def _check(store: ObjectStore) -> None:
    """Try a store out. What it refuses is waited for, as it is in the midst of the work."""
    try:
        await store.check()
    except UsageError as error:
        raise StoreError(str(error)) from error


def _bounds(settings: Settings) -> PipelineSettings:
    return PipelineSettings(
        in_flight=settings.in_flight,
        batch=settings.flush_ids,
        batch_bytes=_OBJECT_BYTES,
        batch_s=settings.flush_s,
        grace_s=settings.grace_s,
        disk_patience_s=settings.outage_patience_s,
    )
