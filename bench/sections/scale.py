"""Whether anything grows with the number of IDs: time per ID, memory, the ledger."""

import json
import sys
from collections.abc import Sequence

from bench.clients import worker
from bench.context import BenchContext
from bench.measurement import FailedRunError
from bench.page import Section
from bench.serving import serving

_TIMES_FEWER, _TIMES_MORE, _FEWEST_MARKS = 50, 10, 20
_SETTINGS = 'progress_s = 0.2\nlog_format = "json"\n'
_HOW = """\
`cxai run` with results of 5 kB, watched by its own progress lines, and the same IDs times {more}
through input, look-up and commit alone, without requests and bodies (`bench/bookkeeping.py`). The
ledger of the larger run has {ledger:.1f} bytes per ID."""


def scale(context: BenchContext) -> Section:
    """Measure a small run, a large one, and larger books."""
    ids = (max(1, context.ids // _TIMES_FEWER), context.ids, _TIMES_MORE * context.ids)
    settings = context.scratch / "scale.toml"
    settings.write_text(_SETTINGS, encoding="utf-8")
    client = worker(f"--config {settings} --progress lines")
    with serving(context.cores[:1], "--short") as server:
        with context.task(server, ids[0]) as task:
            small = context.do(client, task)
        with context.task(server, ids[1]) as task:
            whole = context.do(client, task)
            growth = _tenths(_progress(context))
            ledger = (task.out / "ledger.sqlite").stat().st_size / ids[1]
        context.report(f"scale: {ids[1]:,} IDs: {whole}")
        with context.task(server, ids[2]) as task:
            alone = context.run(sys.executable, "-m", "bench.bookkeeping", task.ids, task.out)
        books = _tenths(json.loads(context.log.read_text(encoding="utf-8")))
    names = ("cxai run", "cxai run", "input, look-up and commit alone")
    runs, tenths = (small, whole, alone), ((), growth, books)
    return Section(
        "Scale",
        _HOW.format(more=_TIMES_MORE, ledger=ledger),
        ("what", "IDs", "seconds", "peak MiB", "µs per ID, first tenth", "last tenth"),
        [
            (name, f"{count:,}", f"{run.wall_s:.1f}", f"{run.peak_bytes / (1 << 20):.1f}")
            + tuple(f"{us:.1f}" for us in its)
            for name, count, run, its in zip(names, ids, runs, tenths, strict=True)
        ],
        {
            "time per ID, last tenth against first": growth[1] / growth[0],
            "books, last tenth against first": books[1] / books[0],
            "peak memory against a fiftieth of the IDs": whole.peak_bytes / small.peak_bytes,
            "peak memory, MB": whole.peak_bytes / 1e6,
            "ledger, bytes per ID": ledger,
        },
    )


def _progress(context: BenchContext) -> list[tuple[int, float]]:
    lines = context.log.read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    marks = [(one["done"], one["elapsed_s"]) for one in events if one["event"] == "progress"]
    return [mark for mark in marks if mark[0]]


def _tenths(marks: Sequence[tuple[int, float]]) -> tuple[float, ...]:
    """Return the microseconds per ID in the first and in the last tenth of (IDs done, seconds)."""
    if len(marks) < _FEWEST_MARKS:
        raise FailedRunError("too short a run to tell its tenths apart: give it more --ids")
    first = next(mark for mark in marks if mark[0] >= marks[-1][0] / 10)
    last = next(mark for mark in reversed(marks) if mark[0] <= marks[-1][0] * 9 / 10)
    pairs = ((marks[0], first), (last, marks[-1]))
    return tuple((end[1] - begin[1]) / (end[0] - begin[0]) * 1e6 for begin, end in pairs)
