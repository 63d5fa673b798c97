"""How soon the command answers, and how soon the first record is there."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.clients import BARE, WORKER, worker
from bench.context import BenchContext
from bench.measurement import FailedRunError, Spread
from bench.page import Section
from bench.serving import serving

_HOW = """\
The whole command, {rounds} times. The first record: from the start of `cxai run` until its output
has bytes, at the default 5 requests a second, each answered after 200 ms."""


def start(context: BenchContext) -> Section:
    """Measure the help, a single ID, and the first record."""
    repeat, help_ = range(context.rounds), (sys.executable, "-m", "cxai", "--help")
    with serving(context.cores[:1]) as server:
        runs = {
            "cxai --help": [context.run(*help_) for _ in repeat],
            "one ID": [context.do_once(WORKER, server, 1) for _ in repeat],
            "one ID, bare aiohttp + uvloop": [context.do_once(BARE, server, 1) for _ in repeat],
        }
    cpu = {what: Spread.of(run.cpu_s for run in some) for what, some in runs.items()}
    wall = {what: Spread.of(run.wall_s for run in some) for what, some in runs.items()}
    first = Spread.of(_first_record_s(context) for _ in repeat)
    rows = [(what, wall[what].shown(".2f"), cpu[what].shown(".2f")) for what in runs]
    return Section(
        "The start",
        _HOW.format(rounds=context.rounds),
        ("what", "seconds", "CPU seconds"),
        [*rows, ("first record on disk", first.shown(".2f"))],
        {
            "CPU seconds, cxai --help": cpu["cxai --help"].median,
            "CPU seconds, one ID": cpu["one ID"].median,
            "seconds to the first record": first.median,
        },
    )


def _first_record_s(context: BenchContext) -> float:
    with (
        serving(context.cores[:1], "--delay", "0.2") as server,
        context.task(server, ids=10) as task,
        ThreadPoolExecutor(1) as aside,
    ):
        begun = time.perf_counter()
        run = aside.submit(context.do, worker("--rate 5 --in-flight 10"), task)
        while not any(file.stat().st_size for file in task.out.glob("records-*")):
            if run.done():
                raise FailedRunError(f"no record while it ran: {run.result()}")
            time.sleep(0.002)
        seconds = time.perf_counter() - begun
        run.result()
    context.report(f"start: first record after {seconds:.2f} s")
    return seconds
