"""`cxai status`: the progress or the final state of an export."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from cxai.core.figures import counted, duration, elapsed, percent, significant
from cxai.core.text import printable
from cxai.errors import DirectoryInUseError
from cxai.inspect.at_rest import export_at_rest
from cxai.ledger.port import Database, Run
from cxai.output.contents import PROGRESS_NAME
from cxai.output.part_state import PartState, part_name
from cxai.output.parts import missing_parts
from cxai.policy.verdict import Verdict
from cxai.resources.registry import layout_of

_SCHEMA_VERSION = 1
_MINUTE_S = 60.0
_OF_A_RUN = ("run_id", "started_at", "seen_at", "settled", "ended")


@dataclass(frozen=True, slots=True)
class Status:
    """What an output directory holds at the time `at`.

    `progress` is that of a run under way, empty if it has only just begun; None if none is.
    `verdicts` counts over all inputs of all runs. `missing` names finished parts whose files are
    gone, although they were not released. `inbox` counts what was taken from a queue and has no
    final verdict, and how much of that has none at all. While a run holds the ledger, `verdicts`
    and `inbox` are None: the progress has the counts of that run, with what is `open`.
    """

    directory: Path
    at: datetime
    progress: Mapping[str, Any] | None = None
    verdicts: Mapping[str, int] | None = None
    missing: tuple[str, ...] = ()
    sets: tuple[Mapping[str, Any], ...] = ()
    runs: tuple[Mapping[str, Any], ...] = ()
    inbox: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON: the same keys whether a run is under way or not."""
        age_s = self._age_s
        return {
            "schema_version": _SCHEMA_VERSION,
            "directory": printable(self.directory),
            "is_running": self.progress is not None,
            "updated_at": self._updated_at,
            "age_s": None if age_s is None else round(age_s),
            "progress": self.progress,
            "verdicts": self.verdicts,
            "inbox": self.inbox and {"entries": self.inbox[0], "open": self.inbox[1]},
            "sets": list(self.sets),
            "missing_parts": list(self.missing),
            "runs": list(self.runs),
        }

    def text(self) -> str:
        """Return it for people."""
        where, ago = printable(self.directory), self._ago
        if self.progress is not None:
            when = f", updated {ago}" if ago else ", just started"
            return "\n".join([f"{where}: running{when}.", *_in_progress(self.progress)])
        lines = [f"{where}: not running, {self._how_it_ended} {ago}.".replace(" .", ".")]
        lines += [f"  {verdict:<20} {n:>12,}" for verdict, n in (self.verdicts or {}).items()]
        if self.inbox and self.inbox[0]:
            lines.append(
                f"  {counted(self.inbox[0], 'messages')} from a queue in the inbox,"
                f" {self.inbox[1]:,} without a verdict: the next run starts with them"
            )
        lines += [_of_set(each) for each in self.sets if each["records"]]
        lines += [f"  {name} is missing: run `cxai verify` for what to do" for name in self.missing]
        lines += [_of_run(run) for run in self.runs[-5:]]
        return "\n".join(lines)

    @property
    def _updated_at(self) -> str | None:
        """The time of the progress or, if no run is under way, of the last commit of one."""
        if self.progress is not None:
            return self.progress.get("at")
        return self.runs[-1]["seen_at"] if self.runs else None

    @property
    def _age_s(self) -> float | None:
        if (updated_at := self._updated_at) is None:
            return None
        return max(0.0, (self.at - datetime.fromisoformat(updated_at)).total_seconds())

    @property
    def _ago(self) -> str:
        if (age_s := self._age_s) is None:
            return ""
        return f"{elapsed(age_s) if age_s < _MINUTE_S else duration(age_s)} ago"

    @property
    def _how_it_ended(self) -> str:
        if not self.runs:
            return "nothing done yet"
        return self.runs[-1]["ended"] or "last active"


def export_status(path: Path, at: datetime | None = None) -> Status:
    """Return the status of the export in `path`.

    Raises UsageError if there is none, or if another command than a run uses it now.
    """
    at = at or datetime.now(UTC)
    try:
        with export_at_rest(path, "status", "read the ledger of") as (_, ledger):
            if ledger.is_new:
                return Status(path, at, verdicts={}, inbox=(0, 0))
            return _at_rest(path, at, ledger)
    except DirectoryInUseError as error:
        if not error.may_be_a_run:
            raise
        return Status(path, at, _progress(path))


def _progress(path: Path) -> Mapping[str, Any]:
    with suppress(OSError, orjson.JSONDecodeError):
        progress = orjson.loads((path / PROGRESS_NAME).read_bytes())
        if isinstance(progress, dict):
            return progress
    return {}


def _at_rest(path: Path, at: datetime, ledger: Database) -> Status:
    compression = ledger.form(layout_of).compression
    parts = ledger.parts()
    missing = missing_parts(path, parts, compression)
    return Status(
        path,
        at,
        verdicts=ledger.verdicts(),
        missing=tuple(part_name(part, compression) for part in missing),
        sets=tuple(_sums(parts)),
        runs=tuple(map(_run, ledger.runs())),
        inbox=ledger.inbox_size(),
    )


def _sums(parts: Iterable[PartState]) -> Iterator[Mapping[str, Any]]:
    """Yield, for each set: its name, and its parts, records, bytes and released parts."""
    with_bytes = (part for part in parts if part.bytes)
    for name, group in groupby(with_bytes, key=attrgetter("set")):
        of_set = list(group)
        yield {
            "set": name,
            "parts": len(of_set),
            "records": sum(part.records for part in of_set),
            "bytes": sum(part.bytes for part in of_set),
            "released_parts": sum(part.is_released for part in of_set),
        }


def _of_set(its: Mapping[str, Any]) -> str:
    records, parts = counted(its["records"], "records"), counted(its["parts"], "parts")
    released = its["released_parts"]
    more = f" ({counted(released, 'parts')} released)" if released else ""
    return f"  {its['set']}: {records} in {parts}, {its['bytes']:,} bytes{more}"


def _in_progress(progress: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines about a run under way, as far as its progress has them."""
    shown: Mapping[str, Any] = {key: value for key, value in progress.items() if value is not None}
    if "state" in shown:
        yield f"  {printable(shown['state'])}"
    if "done" in shown:
        done, total = shown["done"], shown.get("total")
        how_far = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        share = f" ({percent(done, total)})" if total else ""
        left = f", {duration(shown['eta_s'])} left" if "eta_s" in shown else ""
        yield f"  {how_far} IDs done{share}, {shown.get('open', 0):,} open{left}"
    if "rate_now" in shown:
        rate, allowed = significant(shown["rate_now"], 3), significant(shown["rate_allowed"], 3)
        yield f"  {rate} requests/s of {allowed}, {shown['in_flight']:,} in flight"
    yield from (f"  {verdict:<20} {shown[verdict]:>12,}" for verdict in Verdict if verdict in shown)


def _run(run: Run) -> Mapping[str, Any]:
    return {
        "run": run.number,
        **{key: getattr(run, key) for key in _OF_A_RUN},
        **{key: run.report.get(key) for key in ("exit_code", "reason", "headline")},
    }


def _of_run(run: Mapping[str, Any]) -> str:
    """Return how a run ended: with its exit code and headline, unless it was killed."""
    how = run["headline"] or run["ended"]
    if how is None:
        how = "did not shut down cleanly (killed, crashed, quit at once, or its disk failed)"
    elif run["exit_code"] is not None:
        how = f"exit code {run['exit_code']}. {how}"
    return (
        f"  run {run['run']} ({run['run_id']}): {run['started_at']} to {run['seen_at']},"
        f" {run['settled']:,} completed, {how}"
    )
