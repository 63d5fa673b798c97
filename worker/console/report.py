"""The end of a run: the reconciliation, where the files are, what to do about what failed."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import TextWrapper
from typing import Any

from worker.console.progress import duration
from worker.domain.tally import Tally
from worker.domain.verdict import ADVICE, ANSWERED, OPEN_AGAIN, Verdict
from worker.errors import CxaiError, ExitCode

_MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended. `stopped_by` is None if every ID of the input has a verdict.

    `trouble` says how the last request failed, None if the API has answered since. `run_id` is in
    each row that the run wrote.
    """

    output: Path
    tally: Tally
    elapsed_s: float
    max_failed: float
    stopped_by: CxaiError | None
    trouble: str | None = None
    run_id: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """What the process tells its caller."""
        if self.stopped_by is not None:
            return self.stopped_by.exit_code
        if self.tally.failed_share > self.max_failed:
            return ExitCode.ABOVE_THRESHOLD
        return ExitCode.FINISHED

    @property
    def ended(self) -> str:
        """How the run ended, in a word."""
        return "finished" if self.stopped_by is None else "stopped"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "run_id": self.run_id,
            "ended": self.ended,
            "stopped_by": None if self.stopped_by is None else str(self.stopped_by),
            "trouble": None if self.stopped_by is None else self.trouble,
            "exit_code": int(self.exit_code),
            "elapsed_s": round(self.elapsed_s, 3),
            "output": printable(self.output),
            **self.tally.as_dict(),
        }

    def text(self, width: int | None = None) -> str:
        """Return it for people, its lines broken at blanks if they are longer than `width`."""
        if width is None:
            return "\n".join(self._lines())
        return "\n".join(part for line in self._lines() for part in _broken(line, width))

    def _lines(self) -> Iterator[str]:
        tally = self.tally
        if self.stopped_by is None:
            yield "Finished: every ID has a verdict."
            if not self.tally.ids:
                yield "The input holds no ID."
        else:
            why = str(self.stopped_by)
            by = why.removeprefix("Stopped by ")
            yield f"Stopped early: {why}" if by == why else f"Stopped early by {by}"
            if self.trouble and self.trouble not in why:
                yield f"The last request had failed: {self.trouble}"
        yield ""
        yield f"  {counted(tally.lines, 'lines')} = {_sum(_origins(tally))}"
        yield f"  {counted(tally.ids, 'IDs')} = {_sum(_ends(tally))}"
        if tally.settled_before:
            yield f"  ({tally.settled_before:,} of them settled by earlier runs)"
        if not tally.adds_up:
            yield "  THIS DOES NOT ADD UP. Keep the directory and report it."
        yield ""
        yield from self._work()
        yield f"  The export is in {printable(self.output)}"
        yield from self._advice()

    def _work(self) -> Iterator[str]:
        tally = self.tally
        settled = tally.settled_now
        pace = settled / self.elapsed_s if self.elapsed_s > 0 else 0.0
        yield (
            f"  {settled:,} settled in {duration(self.elapsed_s)} ({pace:,.1f}/s) with"
            f" {counted(tally.requests, 'requests')}: {tally.retries:,} repeated,"
            f" {tally.status_requests:,} for status, {tally.throttled:,} refused by a limit"
        )
        for path, times in tally.drift.most_common(5):
            yield f"  Not as documented, and kept as it is: {path} ({times:,} results)"

    def _advice(self) -> Iterator[str]:
        counts = {**self.tally.verdicts, Verdict.INVALID_ID: self.tally.invalid}
        missing = [v for v in Verdict if v is not Verdict.OK and counts.get(v)]
        if missing:
            listed = printable(self.output / "failures-*.jsonl*")
            yield f"  IDs without a record are listed in {listed}:"
        width = max(map(len, missing), default=0)
        for verdict in missing:
            yield f"    {verdict:{width}}  {counts[verdict]:>7,}  {ADVICE[verdict]}"
            for reason, times in self._told_reasons(verdict):
                yield f"    {'':{width}}  {'':>7}  {reason} ({times:,})"
        closed = [v for v in missing if v not in OPEN_AGAIN | ANSWERED and v != Verdict.INVALID_ID]
        if closed:
            yield f"  To ask those again, add: --retry {','.join(closed)}"
        if counts.get(Verdict.NOT_FOUND) and not counts.get(Verdict.OK):
            yield "  Not one was found. Is base_url right? If not: correct it, --retry not_found."
        again = [v for v in missing if v in OPEN_AGAIN]
        if self.tally.open:
            yield "  To go on where this run ended, give the same command again."
        elif again:
            yield f"  The same command, given again, asks for {', '.join(again)} once more."

    def _told_reasons(self, verdict: Verdict) -> list[tuple[str, int]]:
        """Return the commonest reasons where they say more than the verdict."""
        if verdict in ANSWERED or verdict is Verdict.NOT_READY:
            return []
        counts = self.tally.reasons.get(verdict, Counter())
        told = counts.most_common(_MOST_REASONS)
        others = max(counts.total(), self.tally.now[verdict]) - sum(n for _, n in told)
        return [*told, ("others", others)] if told and others else told


def _broken(line: str, width: int) -> list[str]:
    """Break a line at blanks; what follows stands below the last column of the first, if it can."""
    column = len(line) - len(line.rpartition("  ")[2]) if "  " in line else 0
    begins = len(line) - len(line.lstrip())
    if column <= begins or column > width // 2:
        column = begins + 2
    wrapper = TextWrapper(
        width, subsequent_indent=" " * column, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(line) or [""]


def printable(path: Path) -> str:
    """Return a path as text that any file and any terminal takes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _origins(tally: Tally) -> list[tuple[int, str]]:
    return [
        (tally.ids, "IDs"),
        (tally.duplicates, "duplicates"),
        (tally.blanks, "blank"),
        (tally.comments, "comments"),
        (tally.invalid, "invalid"),
    ]


def _ends(tally: Tally) -> list[tuple[int, str]]:
    ends = [(n, verdict.value) for verdict, n in tally.verdicts.most_common()]
    return [*ends, (tally.open, "still open")]


def _sum(parts: list[tuple[int, str]]) -> str:
    shown = [counted(n, what) for n, what in parts if n]
    return " + ".join(shown) or "0"


def counted(n: int, what: str) -> str:
    """Return a number of things: `1 line`, `2 lines`. `what` is given in the plural."""
    return f"{n:,} {what.removesuffix('s') if n == 1 else what}"
