"""A worker of a shared export, started again as a new one whenever others have replaced it."""

import asyncio
from collections.abc import Awaitable, Callable

from cxai.api.content_coding import check_codecs
from cxai.app.closing import emit_end
from cxai.app.shared_export import open_export
from cxai.app.waiting import room_with_events
from cxai.app.worker_run import WorkerRun
from cxai.cluster.url import EngineUrl
from cxai.core.events import Emit, EventStream
from cxai.core.secret_str import SecretStr
from cxai.core.stop import StopRequest
from cxai.errors import FencedError, TermsChangedError
from cxai.inspect.report import Report
from cxai.observe.redaction import Redaction
from cxai.settings import Settings


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
    """Work on an export until stopped or, with `until_settled`, until nothing is left to do.

    Form, limits and destination are those of the export; `settings` holds what each worker decides
    for itself. A worker that others declared gone registers again as a new one, and so does one
    that can't follow new terms. The report is that of the whole export.
    It waits for database and store at the start, up to `outage_patience_s`. Raises UsageError,
    IntegrityError and BlockedError before the first request; later failures are reported, as by
    cxai.app.export.
    """
    check_codecs()
    stop, redaction = stop or StopRequest(), redaction or Redaction(token)
    events = events or EventStream()

    async def run() -> Report:
        async with open_export(url, settings) as export:
            worker = WorkerRun(export, token, redaction, events, until_settled=until_settled)
            return await worker.run(stop)

    while True:
        report = await _once_available(run, settings, stop, events.emit)
        if not isinstance(report.stopped_by, FencedError | TermsChangedError):
            emit_end(report, events.emit, is_endless=not until_settled)
            return report
        events.emit("worker_replaced", reason=str(report.stopped_by))


async def _once_available(
    run: Callable[[], Awaitable[Report]], settings: Settings, stop: StopRequest, emit: Emit
) -> Report:
    """Run as soon as database and store can be used; from then on, it raises no BlockedError."""
    ending = asyncio.Event()
    async with room_with_events(settings.outage_patience_s, ending, emit) as room:
        with stop.passed_to(lambda _why: ending.set()):
            return await room.wait_for(run)
