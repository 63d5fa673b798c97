"""`cxai status`: how far an export is, running or not."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from cxai.core.figures import counted
from cxai.core.text import printable
from cxai.errors import DirectoryInUseError
from cxai.inspect.at_rest import export_at_rest
from cxai.ledger.port import Database, Run
from cxai.output.contents import PROGRESS_NAME
from cxai.output.part_state import PartState, part_name
from cxai.output.parts import missing_parts
from cxai.resources.registry import layout_of


@dataclass(frozen=True, slots=True)
class Status:
    """What an output directory holds. `running` is a live run's progress, None if none runs.

    `verdicts` counts over all inputs of all runs; it is None while a run holds the ledger.
    `missing` names finished parts that were not released, and whose files are not there. `inbox`
    counts what was taken from a queue and has no final verdict, and how much of that has none at
    all; while a run holds the ledger it is None, and the progress has the latter as `open`.
    """

    directory: Path
    running: Mapping[str, Any] | None
    verdicts: Mapping[str, int] | None = None
    missing: tuple[str, ...] = ()
    parts: tuple[tuple[str, int, int, int, int], ...] = ()
    runs: tuple[Mapping[str, Any], ...] = ()
    inbox: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "directory": printable(self.directory),
            "running": self.running,
            "verdicts": self.verdicts,
            "inbox": self.inbox and {"entries": self.inbox[0], "open": self.inbox[1]},
            "sets": [
                {
                    "set": name,
                    "parts": parts,
                    "records": records,
                    "bytes": size,
                    "released_parts": released,
                }
                for name, parts, records, size, released in self.parts
            ],
            "missing_parts": list(self.missing),
            "runs": list(self.runs),
        }

    def text(self) -> str:
        """Return it for people."""
        if self.running is not None:
            facts = "  ".join(f"{k}={v}" for k, v in self.running.items() if v is not None)
            return f"{printable(self.directory)}: a run is under way.\n  {facts or 'just started'}"
        lines = [f"{printable(self.directory)}: no run is under way."]
        lines += [f"  {verdict:<20} {n:>12,}" for verdict, n in (self.verdicts or {}).items()]
        lines += _in_inbox(*self.inbox or (0, 0))
        lines += [
            f"  {name}: {counted(records, 'records')} in {counted(parts, 'parts')}, {size:,} bytes"
            + (f" ({counted(released, 'parts')} released)" if released else "")
            for name, parts, records, size, released in self.parts
            if records
        ]
        lines += [f"  {name} is not there: `cxai verify` says what to do" for name in self.missing]
        lines += [_of_run(run) for run in self.runs[-5:]]
        return "\n".join(lines)


def export_status(path: Path) -> Status:
    """Return the status of the export in `path`. Raises UsageError if there is none."""
    try:
        with export_at_rest(path, "status", "read the ledger of") as (_, ledger):
            return (
                Status(path, running=None, verdicts={}, inbox=(0, 0))
                if ledger.is_new
                else _at_rest(path, ledger)
            )
    except DirectoryInUseError:
        return Status(path, running=_progress(path))


def _progress(path: Path) -> Mapping[str, Any]:
    with suppress(OSError, orjson.JSONDecodeError):
        progress = orjson.loads((path / PROGRESS_NAME).read_bytes())
        if isinstance(progress, dict):
            return progress
    return {}


def _at_rest(path: Path, ledger: Database) -> Status:
    compression = ledger.form(layout_of).compression
    parts = ledger.parts()
    missing = missing_parts(path, parts, compression)
    return Status(
        path,
        running=None,
        verdicts=ledger.verdicts(),
        missing=tuple(part_name(part, compression) for part in missing),
        parts=tuple(_sums(parts)),
        runs=tuple(_run(run) for run in ledger.runs()),
        inbox=ledger.inbox_size(),
    )


def _sums(parts: Iterable[PartState]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield, for each set: its name, and its parts, records, bytes and released parts."""
    with_bytes = (part for part in parts if part.bytes)
    for name, group in groupby(with_bytes, key=attrgetter("set")):
        of_set = list(group)
        yield (
            name,
            len(of_set),
            sum(part.records for part in of_set),
            sum(part.bytes for part in of_set),
            sum(part.is_released for part in of_set),
        )


def _in_inbox(entries: int, without_verdict: int) -> Iterator[str]:
    if entries:
        yield (
            f"  {counted(entries, 'messages')} of a queue in the inbox, {without_verdict:,} without"
            " a verdict: the next run begins with them"
        )


def _run(run: Run) -> Mapping[str, Any]:
    return {
        "run": run.number,
        "run_id": run.run_id,
        "started_at": run.started_at,
        "seen_at": run.seen_at,
        "settled": run.settled,
        "ended": run.ended,
        **{key: run.report.get(key) for key in ("exit_code", "reason", "headline")},
    }


def _of_run(run: Mapping[str, Any]) -> str:
    """Say how a run ended: with its exit code and headline, if it came to its end."""
    how = run["headline"] or run["ended"]
    if how is None:
        how = "did not shut down cleanly (it was killed or left at once, or its disk failed)"
    elif run["exit_code"] is not None:
        how = f"exit code {run['exit_code']}. {how}"
    return (
        f"  run {run['run']} ({run['run_id']}): {run['started_at']} to {run['seen_at']},"
        f" {run['settled']:,} completed, {how}"
    )
