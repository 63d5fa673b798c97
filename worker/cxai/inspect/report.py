"""The report at the end of a run: the counts, the place of the files, advice on failures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from textwrap import TextWrapper
from typing import Any, ClassVar

from cxai.core.ending import Ending, Tolerance, ending
from cxai.core.figures import counted, duration, verb
from cxai.core.tally import Tally
from cxai.core.text import printable
from cxai.core.timestamp import timestamp
from cxai.errors import CxaiError, ExitCode, StopCause, StoppedError, TokenRefusedError
from cxai.policy.verdict import ADVICE, ANSWERED, OPEN_AGAIN, Verdict

_SCHEMA_VERSION = 1
_MOST_REASONS = 3
_MOST_UNKNOWN = 5
_MOST_ABSENT = 3


@dataclass(frozen=True)
class Report:
    """How a run ended. `stopped_by` is None if it reached the end of its input.

    `trouble` is how the last request failed, None if the API has answered since. `run_id` is in
    each row that the run wrote. `started_at` is None if it is not known. `failures_released`
    is whether `cxai prune` released a part that lists failures.
    """

    output: Path
    tally: Tally
    elapsed_s: float
    tolerance: Tolerance
    stopped_by: CxaiError | None
    trouble: str | None = None
    run_id: str = ""
    started_at: datetime | None = None
    failures_released: bool = field(default=False, kw_only=True)

    @cached_property
    def ending(self) -> Ending:
        """The exit code, its reason and the headline. Read it only after the run."""
        return ending(self.tally, self.tolerance, self.stopped_by)

    @property
    def exit_code(self) -> ExitCode:
        """What the process returns to its caller."""
        return self.ending.exit_code

    @property
    def ended(self) -> str:
        """`finished` if the run reached the end of its input, else `stopped`."""
        return "finished" if self.stopped_by is None else "stopped"

    @property
    def export(self) -> str:
        """The export, as `cxai status` and `cxai verify` take it."""
        return printable(self.output)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        started = self.started_at
        ended = started and started + timedelta(seconds=self.elapsed_s)
        return {
            "schema_version": _SCHEMA_VERSION,
            "run_id": self.run_id,
            "started_at": started and timestamp(started),
            "ended_at": ended and timestamp(ended),
            "headline": self.ending.headline,
            "ended": self.ended,
            "exit_code": int(self.exit_code),
            "reason": self.ending.reason.value,
            "stopped_by": None if self.stopped_by is None else str(self.stopped_by),
            "trouble": None if self.stopped_by is None else self.trouble,
            "elapsed_s": round(self.elapsed_s, 3),
            "output": printable(self.output),
            **self.tally.as_dict(),
        }

    def text(self, width: int | None = None) -> str:
        """Return it for people; lines longer than `width` are wrapped at blanks."""
        if width is None:
            return "\n".join(map(str, self._lines()))
        return "\n".join(part for line in self._lines() for part in _broken(line, width))

    def _lines(self) -> "Iterator[str | _Row]":
        tally = self.tally
        yield self.ending.headline
        if self.stopped_by is not None:
            if self.trouble and not _names_trouble(self.stopped_by):
                yield f"The last request failed: {self.trouble}"
            of_ids = f"of {counted(tally.ids, 'IDs')} {verb(tally.open, 'are')} still open"
            still_open = f": {tally.open:,} {of_ids}" if tally.open else ""
            yield f"Exit code {int(self.exit_code)}{still_open}."
        yield ""
        origins = [(tally.ids, "IDs"), (tally.duplicates, "duplicates"), (tally.blanks, "blank")]
        origins += [(tally.comments, "comments"), (tally.invalid, "invalid")]
        yield f"  {counted(tally.lines, 'lines')} = {_sum(origins)}"
        if tally.left_over:
            yield f"  ({tally.left_over:,} of them from the inbox, where earlier runs left them)"
        ends = [(n, verdict.value) for verdict, n in tally.verdicts.most_common()]
        yield f"  {counted(tally.ids, 'IDs')} = {_sum([*ends, (tally.open, 'still open')])}"
        if tally.settled_before:
            yield f"  ({tally.settled_before:,} of them completed by earlier runs)"
        if not tally.adds_up:
            yield "  THE COUNTS DO NOT ADD UP. Keep the directory and report this as a bug."
        yield ""
        yield f"  {self._work}"
        yield from _drift(tally)
        yield f"  The export is in {self._place}"
        yield from self._advice()

    @property
    def _place(self) -> str:
        return printable(self.output)

    @property
    def _failures(self) -> str:
        return printable(self.output / "failures-*.jsonl*")

    @property
    def _work(self) -> str:
        return self._done_by(self.tally)

    def _done_by(self, tally: Tally) -> str:
        completed = tally.settled_now
        pace = completed / self.elapsed_s if self.elapsed_s > 0 else 0.0
        return (
            f"{counted(completed, 'IDs')} in {duration(self.elapsed_s)}"
            f" ({pace:,.1f}/s), {counted(tally.requests, 'requests')}:"
            f" {tally.retries:,} {'retry' if tally.retries == 1 else 'retries'},"
            f" {counted(tally.status_requests, 'status checks')}, {tally.throttled:,} rate-limited"
        )

    def _advice(self) -> "Iterator[str | _Row]":
        counts = {**self.tally.verdicts, Verdict.INVALID_ID: self.tally.invalid}
        missing = [v for v in Verdict if v is not Verdict.OK and counts.get(v)]
        if missing:
            released = " and in released parts" if self.failures_released else ""
            yield f"  IDs without a record are listed in {self._failures}{released}:"
        width = max(map(len, missing), default=0)
        for verdict in missing:
            yield _Row(f"    {verdict:{width}}  {counts[verdict]:>7,}  ", ADVICE[verdict])
            for reason, times in self._reasons(verdict):
                yield _Row(f"    {'':{width}}  {'':>7}  ", f"{reason} ({times:,})")
        closed = [v for v in missing if v not in OPEN_AGAIN | ANSWERED and v != Verdict.INVALID_ID]
        if closed:
            yield f"  {self._retry_closed(closed)}"
        if counts.get(Verdict.NOT_FOUND) and not counts.get(Verdict.OK):
            yield "  No ID was found. If --base-url is wrong, correct it and use a new directory."
        if self.tally.unfetched:
            yield "  To fetch the IDs of lost parts, run with an input that contains them;"
            yield f"  `cxai verify {self.export}` lists some."
        again = [v for v in missing if v in OPEN_AGAIN]
        if self.tally.open:
            yield "  To resume, run the same command again."
        elif again:
            yield f"  {self._retry_open(again)}"

    _others: ClassVar[str] = "other reasons"

    def _retry_closed(self, verdicts: Sequence[Verdict]) -> str:
        return f"To retry those, add: --reopen {','.join(verdicts)}"

    def _retry_open(self, verdicts: Sequence[Verdict]) -> str:
        return f"Running the same command again retries {', '.join(verdicts)}."

    def _reasons(self, verdict: Verdict) -> list[tuple[str, int]]:
        """Return the commonest reasons, none if the verdict is clear without."""
        if verdict is Verdict.NOT_READY:
            return []
        counts = self.tally.reasons.get(verdict, Counter())
        shown = counts.most_common(_MOST_REASONS)
        others = max(counts.total(), self.tally.now[verdict]) - sum(n for _, n in shown)
        return [*shown, (self._others, others)] if shown and others else shown


def _drift(tally: Tally) -> Iterator[str]:
    """Show the fields that are not as documented: first unknown ones, which may be of use."""
    yield from _commonest(tally.unknown, _MOST_UNKNOWN, "unknown fields", "Unknown field, kept")
    yield from _commonest(tally.absent, _MOST_ABSENT, "missing fields", "Missing field, now null")
    if tally.more_drift:
        yield f"  … and {tally.more_drift:,} more occurrences in other fields"


def _commonest(counts: Counter[str], most: int, what: str, each: str) -> Iterator[str]:
    for path, times in counts.most_common(most):
        yield f"  {each}: {path} ({counted(times, 'results')})"
    if (more := len(counts) - most) > 0:
        yield f"  … and {more:,} more {what if more > 1 else what.removesuffix('s')}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a table: its last column, and the text before it."""

    before: str
    last: str

    def __str__(self) -> str:
        return self.before + self.last


def _broken(line: str | _Row, width: int) -> list[str]:
    """Wrap a line at blanks; if possible, the rest of a row is below its last column."""
    text = str(line)
    column = len(text) - len(text.lstrip()) + 2
    if isinstance(line, _Row) and len(line.before) <= width // 2:
        column = len(line.before)
    wrapper = TextWrapper(
        width, subsequent_indent=" " * column, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(text) or [""]


def _names_trouble(error: CxaiError) -> bool:
    """Whether the message of an error includes how the last request failed."""
    is_of_the_api = isinstance(error, StoppedError) and error.by is StopCause.API
    return is_of_the_api or isinstance(error, TokenRefusedError)


def _sum(parts: list[tuple[int, str]]) -> str:
    return " + ".join(counted(n, what) for n, what in parts if n) or "0"
