"""The composition root of a worker of a shared export."""

import os
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from cxai.api.token import Token
from cxai.app.run import Run
from cxai.app.shared_export import SharedExport, watch_terms
from cxai.app.terms import ranges_of
from cxai.app.waiting import BlockedSince
from cxai.app.wiring import api_client, open_reader, tolerance_of, wire_run
from cxai.clock import SystemClock
from cxai.cluster.destination import claim_destination, refuse_restored
from cxai.cluster.fetcher import GovernedFetcher
from cxai.cluster.heartbeat import Heartbeat
from cxai.cluster.holdings import Holdings
from cxai.cluster.ledger import ClusterLedger
from cxai.cluster.limiter import ClusterLimiter
from cxai.cluster.manifest import Manifest
from cxai.cluster.publishing import Publishing
from cxai.cluster.slots import Slots
from cxai.cluster.source import ClusterSource
from cxai.cluster.store_errors import as_run_errors, check_store
from cxai.core.backlog import Backlog
from cxai.core.events import EventStream
from cxai.core.pipeline_settings import PipelineSettings
from cxai.core.secret_str import SecretStr
from cxai.core.stop import StopRequest
from cxai.errors import BlockedError, CxaiError
from cxai.inspect.report import Report
from cxai.inspect.shared_report import SharedReport
from cxai.observe.monitor import RunMonitor, Sample
from cxai.observe.redaction import Redaction
from cxai.observe.registry import open_observers
from cxai.observe.setup import Setup
from cxai.observe.state_text import sentence
from cxai.resources.failures import FailureRows
from cxai.resources.options import RowOptions
from cxai.resources.registry import open_resource
from cxai.settings import Settings

_OBJECT_BYTES = 64 << 20  # the most lines of one object, before compression

_AHEAD = 200
"""IDs claimed ahead of the requests: few enough that all workers share the end of an input."""


class WorkerRun:
    """One worker under one number, from its registration until it leaves."""

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
        self._blocked = BlockedSince(self._clock)
        self._publishing = Publishing(books, store, form.compression)
        self._manifest = Manifest(books, store, export.written, form.sets, form.compression)
        self._heartbeat = Heartbeat(
            books, self._clock, export.settings.worker_ttl_s, lambda: sentence(self._monitor.look())
        )

    async def run(self, stop: StopRequest) -> Report:
        """Work until stopped or done; return the report of the whole export."""
        export, settings, emit = self._export, self._export.settings, self._events.emit
        self._started_at, started = self._clock.utc(), self._clock.monotonic()
        await self._register()
        async with AsyncExitStack() as stack:
            self._run = await self._wired(stack)
            observers = open_observers(Setup(settings.progress, settings.progress_s, emit))
            self._monitor = RunMonitor(
                self._sample, observers, self._clock, settings.stalled_after_s, self._events
            )
            await stack.enter_async_context(self._monitor)
            self._run.emit_start(emit, self._run_id, str(export.books.url), export.store.location)
            with stop.passed_to(self._run.pipeline.stop):
                stopped_by = await self._run.run(
                    self._heartbeat.keep(self._emit_gone),
                    self._publishing.keep_repairing(),
                    self._manifest.keep_current(),
                    watch_terms(export),
                )
            stopped_by = stopped_by or await self._finish()
            report = await self._report(stopped_by, self._clock.monotonic() - started)
            self._monitor.report = report.as_dict()
        return report

    async def _register(self) -> None:
        export, form = self._export, self._export.form
        with as_run_errors():
            await check_store(export.store)
            sets = form.layout.all_sets
            await refuse_restored(export.books, export.store, sets, form.compression)
            await claim_destination(export.books, export.store)
        name, ttl_s = f"{socket.gethostname()}/{os.getpid()}", export.settings.worker_ttl_s
        self._worker = await export.books.register(name, worker_ttl_s=ttl_s)

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
            on_drained=lambda: self._run.pipeline.flush(),  # noqa: PLW0108 - not wired yet
        )
        await stack.enter_async_context(source)
        pace = self._limiter = self._pace()
        token = Token(self._token, settings.token_file, self._redaction.add)
        client = api_client(settings, resource, token, pace.send_slot, clock, self._events)
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
        reader = open_reader(settings, rows, resource, self._redaction, self._events)
        return wire_run(
            settings,
            source=source,
            ledger=ledger,
            backlog=backlog,
            pace=pace,
            client=client,
            fetcher=GovernedFetcher(client, pace),
            resource=resource,
            reader=await stack.enter_async_context(reader),
            run_id=self._run_id,
            clock=clock,
            bounds=_bounds(settings),
            events=self._events,
        )

    def _pace(self) -> ClusterLimiter:
        settings, limits = self._export.settings, self._export.account.limits
        slots = Slots(limits, self._worker, self._clock, total_timeout_s=settings.total_timeout_s)
        rate, adaptive = settings.rate, settings.adaptive
        return ClusterLimiter(limits, slots, self._clock, rate=rate, adaptive=adaptive)

    async def _finish(self) -> CxaiError | None:
        """Publish what is committed and not published yet, and write the manifest."""
        try:
            with as_run_errors():
                await self._publishing.repair()
                await self._manifest.write()
        except CxaiError as error:
            return error
        return None

    async def _report(self, stopped_by: CxaiError | None, elapsed_s: float) -> Report:
        export, own = self._export, self._run.pipeline.tally
        tolerance = tolerance_of(export.settings)
        try:
            counts = await export.books.counts()
            whole = counts.tally(own)
            if counts.fed:  # if it is empty, its feeder was given --allow-empty
                tolerance = replace(tolerance, allow_empty=True)
        except BlockedError as error:
            whole, stopped_by = own, stopped_by or error
        return SharedReport(
            Path(export.store.location),
            whole,
            elapsed_s,
            tolerance,
            stopped_by,
            self._run.governor.trouble,
            self._run_id,
            self._started_at,
            own,
            export.store.location,
            str(export.books.url),
        )

    # --- what it shows ---

    def _sample(self) -> Sample:
        seen, pace = self._run.sample(self._export.store.location), self._limiter
        waits_for = pace.waits_for if seen.work.open else self._source.waits_for
        api = replace(seen.api, rate_ceiling=pace.rate_limit, waits_for=waits_for)
        return replace(seen, api=api, blocked=self._blocked.first(self._causes()) or seen.blocked)

    def _causes(self) -> Iterator[tuple[str, str]]:
        """Yield each place that can't be used, and the cause."""
        if cause := self._heartbeat.cause or self._export.account.limits.cause:
            yield f"the database {self._export.books.url}", cause
        if cause := self._publishing.cause:
            yield self._publishing.blocked_place, cause

    def _emit_gone(self, count: int) -> None:
        reason = "no heartbeat; other workers get their IDs"
        self._events.emit("workers_gone", workers=count, reason=reason)


def _bounds(settings: Settings) -> PipelineSettings:
    return PipelineSettings(
        in_flight=settings.in_flight,
        batch=settings.flush_ids,
        batch_bytes=_OBJECT_BYTES,
        batch_s=settings.flush_s,
        grace_s=settings.grace_s,
        disk_patience_s=settings.outage_patience_s,
    )
