"""How the last run into a directory ended, as the ledger has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cxai.core.figures import counted
from cxai.errors import ExitCode
from cxai.inspect.verify.findings import Advice, Findings
from cxai.ledger.sqlite import Database
from cxai.output.contents import LEDGER_NAME

_COMPLETE = (ExitCode.FINISHED, ExitCode.ABOVE_THRESHOLD)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run: `ended` is None if it was killed, `report` what it reported at its end."""

    number: int
    started_at: str
    ended: str | None
    report: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        of_report = ("exit_code", "reason", "headline", "open")
        return {
            "run": self.number,
            "started_at": self.started_at,
            "ended": self.ended,
            **{name: self.report.get(name) for name in of_report},
        }


def read_last_run(ledger: Database) -> LastRun | None:
    """Return the last run, None if there was none."""
    rows = [] if ledger.is_new else ledger.rows("read_runs").fetchall()
    if not rows:
        return None
    number, started_at, _, _, ended, tally = rows[-1][:6]
    try:
        report = orjson.loads(tally) if tally else {}
    except orjson.JSONDecodeError:
        report = None
    return LastRun(number, started_at, ended, report if isinstance(report, dict) else {})


def check_accounts(ledger: Database, findings: Findings) -> None:
    """Check that each run has as many outcomes as it counted: an earlier one has no more."""
    outcomes = dict(ledger.rows("count_by_run"))
    settled = {run[0]: run[3] for run in ledger.rows("read_runs")}
    last = max(settled, default=0)
    for run in sorted({*outcomes, *settled}):
        has, counted_ = outcomes.get(run, 0), settled.get(run, 0)
        if has > counted_ or (run == last and has != counted_):
            findings.add(f"{LEDGER_NAME}: run {run} settled {counted_:,}, but {has:,} are there.")


def check_last_run(findings: Findings, last: LastRun | None, *, has_outcomes: bool) -> None:
    """Say what a run has still to do: all that would make a loaded export an incomplete one."""
    if findings.open_parts:
        lines = counted(sum(findings.open_parts.values()), "lines")
        are = "is" if lines == "1 line" else "are"
        where = ", ".join(findings.open_parts)
        findings.unfinished.append(f"{lines} {are} in parts that are not finished: {where}.")
    if last is None:
        findings.unfinished.append("No run has begun here: there is nothing to load.")
        return
    findings.last_run = last.as_dict()
    if last.ended is None:
        findings.unfinished.append(
            f"The last run ({last.number}, begun {last.started_at}) did not come to its end: it was"
            " killed or left at once, or its disk failed."
        )
        return
    code, headline = last.report.get("exit_code"), last.report.get("headline", last.ended)
    if last.report.get("adds_up") is False:
        findings.add(f"The last run ({last.number}): its accounts do not add up.", Advice.REPORT)
    elif code not in _COMPLETE or last.ended != "finished" or last.report.get("open"):
        findings.unfinished.append(f"The last run ended with exit code {code}: {headline}")
    elif not has_outcomes and code != ExitCode.FINISHED:
        findings.unfinished.append("No run has found an ID in its input.")
    elif code != ExitCode.FINISHED:
        findings.notes.append(f"the last run ended with exit code {code}: {headline}")
