"""A worker of a shared export, started again as a new one whenever others have replaced it."""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from cxai.api.content_coding import check_codecs
from cxai.app.closing import log_end
from cxai.app.shared_export import open_export
from cxai.app.waiting import logged_room
from cxai.app.worker_run import WorkerRun
from cxai.cluster.url import EngineUrl
from cxai.core.stop import StopRequest
from cxai.errors import FencedError, TermsChangedError
from cxai.inspect.report import Report
from cxai.observe.logging import LOG
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
) -> Report:
    """Work on an export until stopped or, with `until_settled`, until nothing is left to do.

    Form, limits and destination are those of the export; `settings` holds what each worker decides
    for itself. A worker that others declared gone registers again as a new one, and so does one
    that can't follow new terms. The report is that of the whole export.
    A database or a store that can't be used at the start is waited for, up to `outage_patience_s`.
    Raises UsageError, IntegrityError and BlockedError before the first request; later failures are
    reported, as by cxai.app.export.
    """
    check_codecs()
    stop, redaction = stop or StopRequest(), redaction or Redaction(token)

    async def run() -> Report:
        async with open_export(url, settings) as export:
            return await WorkerRun(export, token, redaction, until_settled=until_settled).run(stop)

    while True:
        report = await _once_available(run, settings, stop)
        if not isinstance(report.stopped_by, FencedError | TermsChangedError):
            log_end(report)
            return report
        LOG.warning("worker_replaced", reason=str(report.stopped_by))


async def _once_available(
    run: Callable[[], Awaitable[Report]], settings: Settings, stop: StopRequest
) -> Report:
    """Run as soon as database and store can be used; from then on, it raises no BlockedError."""
    ending = asyncio.Event()
    async with logged_room(settings.outage_patience_s, ending) as room:
        with stop.passed_to(lambda _why: ending.set()):
            return await room.wait_for(run)
