"""The end of a run: its books are closed, and the log says how it ended.

How is the ledger's (ledger/runs.py); whether they may be closed is decided in core/ending.py.
"""

from dataclasses import replace

from cxai.core.ending import may_be_closed, weightier
from cxai.core.tally import Tally
from cxai.errors import CommitError, IntegrityError
from cxai.inspect.report import Report
from cxai.ledger.committer import Committer
from cxai.observe.logging import LOG
from cxai.policy.verdict import ANSWERED

_MOST_FIELDS = 5  # of drift, named in the log
_MOST_REASONS = 3  # of a verdict


def close_books(report: Report, committer: Committer) -> Report:
    """Close the books of a run, if they may be closed; return its report, which says how that went.

    The report it is given must not have been asked for its ending: the counts of the ledger, which
    decide on it, are added here.
    """
    if not may_be_closed(report.stopped_by):
        return report
    try:
        report.tally.committed = committer.settled()
        report.tally.unfetched = committer.unfetched()
        committer.end_run(report.ended, report.as_dict())
    except (CommitError, IntegrityError) as error:
        LOG.warning("run_not_closed", reason=str(error))
        return replace(report, stopped_by=weightier(report.stopped_by, error))
    return report


def log_end(report: Report) -> None:
    """Log why IDs failed, which fields were not as documented, and, last, how the run ended."""
    tally = report.tally
    _log_reasons(tally)
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


def _log_reasons(tally: Tally) -> None:
    """Log why IDs failed in this run, with the API's words where it had any."""
    for verdict, reasons in tally.reasons.items():
        if verdict in ANSWERED:
            continue
        commonest = [{"reason": why, "ids": n} for why, n in reasons.most_common(_MOST_REASONS)]
        LOG.warning("ids_failed", verdict=verdict.value, ids=tally.now[verdict], reasons=commonest)
