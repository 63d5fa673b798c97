"""The end of a run: its books are closed, and its last events are emitted.

core/ending.py decides whether the books may be closed; the ledger does it (ledger/runs.py).
"""

from dataclasses import replace

from cxai.core.ending import may_be_closed, weightier
from cxai.core.events import Emit, Level
from cxai.errors import CommitError, ExitCode, IntegrityError, StopRequestedError
from cxai.inspect.report import Report
from cxai.ledger.committer import Committer
from cxai.policy.verdict import ANSWERED

_MOST_FIELDS = 5  # of drift, named in the event
_MOST_REASONS = 3  # of a verdict


def close_books(report: Report, committer: Committer, emit: Emit) -> Report:
    """Close the books of a run, if they may be closed; return its report, with how that went.

    The ledger's counts are added here, and decide the ending: nothing may have read that before.
    """
    if not may_be_closed(report.stopped_by):
        return report
    try:
        report.tally.committed = committer.settled()
        report.tally.unfetched = committer.unfetched()
        report = replace(report, failures_released=committer.has_released_failures())
        committer.end_run(report.ended, report.as_dict())
    except (CommitError, IntegrityError) as error:
        emit("run_not_closed", reason=str(error))
        return replace(report, stopped_by=weightier(report.stopped_by, error))
    return report


def emit_end(report: Report, emit: Emit, *, is_endless: bool) -> None:
    """Emit why IDs failed, which fields were not as documented, and last, how the run ended.

    `is_endless` is whether the run ends only when it is stopped: a stop that leaves no ID open is
    not an error then.
    """
    tally = report.tally
    for verdict, reasons in tally.reasons.items():
        if verdict not in ANSWERED:
            commonest = [{"reason": why, "ids": n} for why, n in reasons.most_common(_MOST_REASONS)]
            emit("ids_failed", verdict=verdict.value, ids=tally.now[verdict], reasons=commonest)
    if tally.drift:
        emit(
            "undocumented_fields",
            unknown=[path for path, _ in tally.unknown.most_common(_MOST_FIELDS)],
            unknown_paths=len(tally.unknown),
            absent_paths=len(tally.absent),
            more=tally.more_drift,
        )
    was_requested = isinstance(report.stopped_by, StopRequestedError)
    is_plain_stop = was_requested and report.exit_code is ExitCode.STOPPED
    is_good = not report.exit_code or (is_endless and is_plain_stop and not tally.open)
    emit(
        "run_finished",
        level=Level.INFO if is_good else Level.ERROR,
        exit_code=int(report.exit_code),
        ended=report.ended,
        reason=report.ending.reason.value,
        headline=report.ending.headline,
        ids=tally.ids,
        failed=tally.failed,
        open=tally.open,
    )
