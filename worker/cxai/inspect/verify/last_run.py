"""Checks the counts of all runs against their outcomes, and how the last run ended."""

from cxai.core.figures import counted, verb
from cxai.errors import ExitCode
from cxai.inspect.verify.findings import Advice, Findings
from cxai.ledger.port import Database, Run
from cxai.output.contents import LEDGER_NAME

_COMPLETE = (ExitCode.FINISHED, ExitCode.ABOVE_THRESHOLD)
_OF_REPORT = ("exit_code", "reason", "headline", "open")


def check_accounts(ledger: Database, findings: Findings) -> None:
    """Check that the last run has as many outcomes as it counted, and no earlier one has more."""
    outcomes = ledger.outcomes_by_run()
    settled = {run.number: run.settled for run in ledger.runs()}
    last = max(settled, default=0)
    for run in sorted({*outcomes, *settled}):
        has, counted_ = outcomes.get(run, 0), settled.get(run, 0)
        if has > counted_ or (run == last and has != counted_):
            findings.add(
                f"{LEDGER_NAME}: run {run} counted {counted_:,} outcomes, but has {has:,}."
            )


def check_last_run(findings: Findings, last: Run | None, *, has_outcomes: bool) -> None:
    """Add what a run has still to do: everything that makes the export incomplete."""
    if findings.open_parts:
        lines = sum(findings.open_parts.values())
        has = f"{counted(lines, 'lines')} {verb(lines, 'are')}"
        where = ", ".join(findings.open_parts)
        findings.unfinished.append(f"{has} in parts that are not finished: {where}.")
    if last is None:
        findings.unfinished.append("No run has started here: there is nothing to load.")
        return
    findings.last_run = {
        "run": last.number,
        "started_at": last.started_at,
        "ended": last.ended,
        **{name: last.report.get(name) for name in _OF_REPORT},
    }
    if last.ended is None:
        findings.unfinished.append(
            f"The last run ({last.number}, started {last.started_at}) did not shut down cleanly: it"
            " was killed, or its disk failed."
        )
        return
    code, headline = last.report.get("exit_code"), last.report.get("headline", last.ended)
    if last.report.get("adds_up") is False:
        findings.add(f"The last run ({last.number}): its counts do not add up.", Advice.REPORT)
    elif code not in _COMPLETE or last.ended != "finished" or last.report.get("open"):
        findings.unfinished.append(f"The last run ended with exit code {code}: {headline}")
    elif not has_outcomes and code != ExitCode.FINISHED:
        findings.unfinished.append("No run has found an ID in its input.")
    elif code != ExitCode.FINISHED:
        findings.notes.append(f"the last run ended with exit code {code}: {headline}")
