"""Whether anything grows with the number of IDs: time per ID, memory, the ledger, a new start."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.clients import Task, cxai
from bench.measurement import FailedRunError, Run, measured
from bench.page import Claim, Section
from bench.workshop import Workshop

_MOST_GROWTH = 1.1
_MOST_START_S = 1.0
_MOST_LEDGER_BYTES = 80
_MOST_PEAK_MIB = 90

_MOST_MORE_MEMORY = 1.05

_TIMES_MORE = 10
_TIMES_FEWER = 50
_FEWEST_MARKS = 20
_MIB = 1 << 20

_HOW = """\
One `cxai run` with {ids:,} IDs, each with a result of 5 kB, watched by its own progress lines; then
in the same directory a single new ID, and all of it once more. Before, a run with {fewer:,} IDs;
after, {more:,} IDs through input, look-up and commit alone, without requests and bodies
(`bench/bookkeeping.py`)."""

_SETTINGS = """\
progress_s = 0.2
log_format = "json"
"""


@dataclass(frozen=True)
class _Tenths:
    """A run, and the microseconds per ID in its first and its last tenth."""

    run: Run
    first_us: float
    last_us: float

    @property
    def growth(self) -> float:
        return self.last_us / self.first_us


def scale(workshop: Workshop) -> Section:
    """Measure one large run, and larger books."""
    ids, more = workshop.size.ids, _TIMES_MORE * workshop.size.ids
    fewer = max(1, ids // _TIMES_FEWER)
    with workshop.fast_server(short=True) as base_url:
        small = _small(workshop, fewer, base_url)
        task = workshop.task(ids, base_url)
        try:
            whole = _settled(workshop, task)
            workshop.say(f"scale: {ids:,} IDs settled in {whole.run.wall_s:.0f} s")
            ledger_bytes = (task.out / "ledger.sqlite").stat().st_size / ids
            start = _measured(workshop, Task(_one_more(workshop), base_url, task.out))
            again = _measured(workshop, task)
        finally:
            workshop.clear(task)
    books = _books(workshop, more)
    workshop.say(f"scale: {more:,} IDs booked in {books.run.wall_s:.0f} s")
    return Section(
        "Scale",
        _HOW.format(ids=ids, fewer=fewer, more=more),
        ("what", "IDs", "seconds", "µs per ID, first tenth", "last tenth", "peak MiB"),
        [
            _row("cxai run", fewer, small),
            _row("cxai run", ids, whole.run, whole),
            _row("then a single new ID", 1, start),
            _row("all of it once more", ids, again),
            _row("input, look-up and commit alone", more, books.run, books),
        ],
        [
            _at_most("time per ID, last tenth against first", _MOST_GROWTH, whole.growth),
            _at_most("the same of input, look-up and commit", _MOST_GROWTH, books.growth),
            _at_most(
                f"peak memory at {ids:,} IDs, MiB", _MOST_PEAK_MIB, whole.run.peak_bytes / _MIB
            ),
            _at_most(
                f"the same against {fewer:,} IDs",
                _MOST_MORE_MEMORY,
                whole.run.peak_bytes / small.peak_bytes,
            ),
            _at_most(f"seconds for one new ID beside {ids:,}", _MOST_START_S, start.wall_s),
            _at_most("bytes of ledger per ID", _MOST_LEDGER_BYTES, ledger_bytes),
        ],
    )


def _small(workshop: Workshop, ids: int, base_url: str) -> Run:
    task = workshop.task(ids, base_url)
    try:
        return _measured(workshop, task)
    finally:
        workshop.clear(task)


def _settled(workshop: Workshop, task: Task) -> _Tenths:
    run = _measured(workshop, task)
    lines = (workshop.scratch / "said").read_text(encoding="utf-8").splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    marks = [(one["done"], one["elapsed_s"]) for one in told if one["event"] == "progress"]
    marks = [mark for mark in marks if mark[0]]
    if len(marks) < _FEWEST_MARKS:
        raise FailedRunError("too short a run to tell its tenths apart: give it more --ids")
    tenth = len(marks) // 10
    return _Tenths(run, _per_id_us(marks[0], marks[tenth]), _per_id_us(marks[-tenth], marks[-1]))


def _per_id_us(one: tuple[int, float], other: tuple[int, float]) -> float:
    return (other[1] - one[1]) / max(1, other[0] - one[0]) * 1e6


def _measured(workshop: Workshop, task: Task) -> Run:
    settings = workshop.scratch / "scale.toml"
    settings.write_text(_SETTINGS, encoding="utf-8")
    options = ("--rate", "100000", "--config", str(settings), "--progress", "lines")
    return workshop.run(cxai(*options), task)


def _one_more(workshop: Workshop) -> Path:
    file = workshop.scratch / "one-more.txt"
    file.write_text(f"{'0' * 8}-0000-4000-8000-{'0' * 12}\n", encoding="utf-8")
    return file


def _books(workshop: Workshop, ids: int) -> _Tenths:
    task = workshop.task(ids, "")
    try:
        argv: Sequence[str | Path] = [sys.executable, "-m", "bench.bookkeeping", task.ids, task.out]
        run = measured(argv, workshop.cores.client, workshop.scratch / "said")
    finally:
        workshop.clear(task)
    told = json.loads((workshop.scratch / "said").read_text(encoding="utf-8"))
    return _Tenths(run, told["first_us"], told["last_us"])


def _row(what: str, ids: int, run: Run, tenths: _Tenths | None = None) -> tuple[str, ...]:
    shown = (f"{tenths.first_us:.1f}", f"{tenths.last_us:.1f}") if tenths else ("", "")
    return (what, f"{ids:,}", f"{run.wall_s:.1f}", *shown, f"{run.peak_bytes / _MIB:.1f}")


def _at_most(what: str, most: float, figure: float) -> Claim:
    return Claim(what, f"≤ {most:g}", f"{figure:.2f}", figure <= most)
