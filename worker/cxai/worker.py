"""The composition root of one worker among many: it works at an export that a database keeps.

What differs from a run on one machine is source, ledger and pace; the pipeline between them is the
same.
"""

import asyncio
import os
import socket
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import SecretStr

from cxai.api.content_coding import check_codecs
from cxai.api.token import Token
from cxai.clock import SystemClock
from cxai.closing import log_end
from cxai.cluster.account import account_of
from cxai.cluster.books import Books
from cxai.cluster.holdings import Holdings
from cxai.cluster.ledger import ClusterLedger
from cxai.cluster.limiter import ClusterLimiter, GovernedFetcher
from cxai.cluster.manifest import Manifest
from cxai.cluster.membership import Membership
from cxai.cluster.publishing import Publishing
from cxai.cluster.restored import refuse_restored
from cxai.cluster.slots import Slots
from cxai.cluster.source import ClusterSource
from cxai.cluster.trouble import as_trouble_of_a_run
from cxai.cluster.url import EngineUrl
from cxai.core.backlog import Backlog
from cxai.core.bounds import Bounds
from cxai.core.ending import Tolerance
from cxai.core.pipeline import Pipeline
from cxai.core.ports import Clock
from cxai.core.run_state import Blocked
from cxai.core.stop import StopRequest
from cxai.errors import BlockedError, CxaiError, FencedError
from cxai.export_report import export_tally
from cxai.inspect.report import Report
from cxai.objects.registry import open_store
from cxai.observe.logging import LOG
from cxai.observe.monitor import RunMonitor, Sample
from cxai.observe.redaction import Redaction
from cxai.observe.registry import open_observers
from cxai.observe.setup import Setup
from cxai.observe.state_text import sentence
from cxai.resources.failures import FailureRows
from cxai.resources.options import RowOptions
from cxai.resources.registry import open_resource
from cxai.settings import Settings
from cxai.terms import ranges_of, shared_settings
from cxai.wiring import client_of, wired

_OBJECT_BYTES = 64 << 20
"""Lines of one object, before compression, at most."""

_AHEAD = 200
"""IDs that a worker claims ahead of its requests: few enough that all share the end of an input."""

_MANIFEST_S = 60.0


async def work(
    settings: Settings,
    url: EngineUrl,
    token: SecretStr,
    *,
    until_settled: bool = False,
    stop: StopRequest | None = None,
    redaction: Redaction | None = None,
) -> Report:
    """Work at an export until it is stopped or, with `until_settled`, until nothing is left to do.

    Form, limits and destination are those of the export; `settings` has what is a worker's own. A
    worker that others took for dead begins anew. The report is that of the whole export, with the
    work of this worker.
    Raises UsageError, IntegrityError and BlockedError before the first request; later ones are
    reported, as by cxai.app.export.
    """
    stop = stop or StopRequest()
    while True:
        report = await _work_once(
            settings, url, token, until_settled, stop, redaction or Redaction(token)
        )
        if not isinstance(report.stopped_by, FencedError):
            log_end(report)
            return report
        LOG.warning("worker_replaced", reason=str(report.stopped_by))


async def _work_once(
    settings: Settings,
    url: EngineUrl,
    token: SecretStr,
    until_settled: bool,
    stop: StopRequest,
    redaction: Redaction,
) -> Report:
    check_codecs()
    clock = SystemClock()
    started = clock.monotonic()
    async with AsyncExitStack() as stack:
        books = Books(url)
        stack.push_async_callback(books.close)
        await books.open()
        form, terms = await books.form(), await books.terms()
        settings = shared_settings(settings, form, terms)
        books.worker_ttl_s = settings.worker_ttl_s
        run_id = str(uuid.uuid4())
        resource = open_resource(
            settings.resource, RowOptions(settings.shape, run_id, ranges_of(form))
        )
        sets = resource.layout.shapes[settings.shape]
        store = open_store(form["destination"])
        stack.push_async_callback(store.close)
        with as_trouble_of_a_run():
            await refuse_restored(books, store, resource.layout.all_sets, settings.compression)
        worker = await books.register(f"{socket.gethostname()}/{os.getpid()}")

        account = account_of(url)
        stack.push_async_callback(account.close)
        slots = Slots(account.limits, worker, clock, total_timeout_s=settings.total_timeout_s)
        pace = ClusterLimiter(
            account.limits, slots, clock, rate=settings.rate, adaptive=settings.adaptive
        )
        client = client_of(
            settings, resource, Token(token, settings.token_file, redaction.add), pace.depart, clock
        )
        reading = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="read"))
        packing = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="pack"))
        holdings = Holdings()
        publishing = Publishing(books, store, settings.compression)
        manifest = Manifest(books, store, form, [*sets, "failures"], settings.compression)
        backlog = Backlog(2 * settings.flush_ids + 2 * _AHEAD)
        source = ClusterSource(
            books,
            holdings,
            lambda: min(backlog.capacity - backlog.open, 2 * _AHEAD - backlog.ready) - _AHEAD,
            until_settled=until_settled,
            on_drained=lambda: run.pipeline.flush(),
        )
        recorder = FailureRows(resource.layout.schema_version, run_id)
        ledger = ClusterLedger(
            books, store, holdings, publishing, recorder, clock, settings.compression, packing
        )
        await stack.enter_async_context(source)
        await stack.enter_async_context(client)
        await stack.enter_async_context(pace)
        run = wired(
            settings,
            source=source,
            ledger=ledger,
            backlog=backlog,
            pace=pace,
            client=client,
            fetcher=GovernedFetcher(client, pace),
            resource=resource,
            run_id=run_id,
            reading=reading,
            redaction=redaction,
            clock=clock,
            bounds=_bounds(settings),
        )
        membership = Membership(
            books, clock, settings.worker_ttl_s, lambda: sentence(monitor.look())
        )
        troubles = _Troubles(clock, (source, publishing, membership, pace))

        def sample() -> Sample:
            seen = run.sample(store.location)
            return replace(seen, blocked=troubles.look() or seen.blocked)

        monitor = RunMonitor(
            sample, open_observers(_setup(settings)), clock, settings.stalled_after_s
        )
        await stack.enter_async_context(monitor)
        with stop.passed_to(run.pipeline.stop):
            beside = (membership.keep(_log_gone), publishing.keep_repairing(), _keep(manifest))
            stopped_by = await _to_its_end(run.pipeline, beside)
        with suppress(BlockedError):
            await publishing.repair()
            await manifest.write()
        counts = await books.counts()
        report = Report(...)
        monitor.finished(report.as_dict())
    return report
