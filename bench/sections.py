"""Each section measures one thing, says on the page how, and shows the figures in a table."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median

from support.arrivals import most_within, pace

from bench.clients import BARE, FETCH, GO, PEERS, PLAIN, WORKER, Client, worker
from bench.comparison import Comparison, section, spread
from bench.context import BenchContext
from bench.measurement import FailedRunError

_ONE_CORE = """\
{ids:,} distinct IDs (more for the bare client, fewer for slow ones, so that all runs last about as
long), 64 requests at a time; the server has one core, the client another one. Each body is sent as
br or, to a client that doesn't ask for br, as gzip. Measured is the whole command, its start
included; CPU is user and system time of all its processes, peak the resident memory of the largest
(25 MiB at least: that of the measuring process, before it becomes the client). Each figure is the
median of the rounds ({rounds}) or of their ratios, with the lowest and the highest. `of bare`
is the share of the bare client's efficiency or speed that a client reaches, `÷ the worker's` its
CPU time as a multiple of the worker's. Every client but the bare one writes the same records, which
is checked; only the worker validates, accounts for each ID, and has each batch on the disk before
it counts."""


def one_core(context: BenchContext) -> str:
    """Measure all clients on one core."""
    how = _ONE_CORE.format(ids=context.ids, rounds=context.rounds)
    return _beside(context, "One core", how, WORKER, BARE, *PEERS)


_ALL_CORES = """\
The same on {cores} cores, which the server shares. The worker decodes, validates and encodes in
reader processes, Go uses all cores by itself, and the bare client can use one at a time."""


def all_cores(context: BenchContext) -> str:
    """Measure the worker with readers, and Go, on all cores, beside the bare client."""
    ours = worker(f"--readers {max(1, len(context.cores) - 1)}")
    how = _ALL_CORES.format(cores=len(context.cores))
    return _beside(replace(context, apart=False), "All cores", how, ours, BARE, GO)


def _beside(
    context: BenchContext, title: str, how: str, ours: Client, bare: Client, *peers: Client
) -> str:
    with context.server() as server:
        found = Comparison(context, (ours, bare, *peers), server)
    header = (
        "client", "CPU µs/ID", "of bare", "÷ the worker's",
        "IDs/s", "of bare", "the worker is", "peak MiB",
    )  # fmt: skip
    rows = found.rows(
        lambda one: spread(found.of(one, "cpu_us"), ",.0f"),
        lambda one: spread(found.ratios(bare, one, "cpu_us"), ".3f"),
        lambda one: f"{median(found.ratios(one, ours, 'cpu_us')):.2f} x",
        lambda one: spread(found.of(one, "ids_per_s"), ",.0f"),
        lambda one: spread(found.ratios(one, bare, "ids_per_s"), ".3f"),
        lambda one: f"{median(found.ratios(ours, one, 'ids_per_s')):.2f} x as fast",
        lambda one: f"{median(found.of(one, 'peak_mib')):,.0f}",
    )
    return section(title, how, header, rows)


_LATENCY = """\
Each response leaves a fixed time after its request came, so that no client can get more per second
than its requests in flight divided by that time. 10 in flight are what the worker does unless it is
asked for more. Counted by the server, from the first request to the last; rounds: {rounds}."""


def latency(context: BenchContext) -> str:
    """Measure what users feel: how much of what the latency allows is reached."""
    rows = [
        *_reached(context, 10, 0.2, (FETCH, GO, PLAIN), "--tls"),
        *_reached(context, 64, 0.05, ()),
    ]
    header = ("setting", "client", "share of the bound")
    return section("Bound by latency", _LATENCY.format(rounds=context.rounds), header, rows)


def _reached(
    context: BenchContext, in_flight: int, delay_s: float, peers: Sequence[Client], *tls: str
) -> list[Sequence[str]]:
    bound, turns = in_flight / delay_s, max(8, round(context.seconds / 2 / delay_s))
    clients = (WORKER, BARE, *peers)
    with context.server("--delay", str(delay_s), *tls) as server:
        found = Comparison(context, clients, server, in_flight=in_flight, turns=turns)
    rows = found.rows(
        lambda one: spread((it / bound for it in found.of(one, "requests_per_s")), ".3f")
    )
    setting = f"{in_flight} in flight, {delay_s * 1e3:.0f} ms{', TLS' * bool(tls)}"
    return [(setting, *row) for row in rows]


_PACING = """\
`cxai run --rate R`, {seconds:g} s at each rate, once evenly and once with `--burst`, which sends a
second's budget at once. Counted where the server is, by the times at which its kernel had each
request: so whatever happens on the way counts, but not how late a busy server comes to read it.
Each response leaves 10 ms later."""


def pacing(context: BenchContext) -> str:
    """Measure how exactly the worker keeps to its rate."""
    rows = []
    with context.server("--delay", "0.01") as server:
        for sent, option in (("evenly", ""), ("in bursts", "--burst")):
            for rate in (10, 50, 200, 1_000):
                client = worker(f"--rate {rate} {option}")
                context.do_once(client, server, max(2 * rate, round(rate * context.seconds)))
                times = server.arrivals()
                achieved = pace(times, rate if option else 1) / rate
                most = (f"{most_within(times, window_s):,}" for window_s in (1.0, 0.1))
                rows.append((f"{rate:,}/s", sent, f"{achieved:.2%}", *most))
    header = ("rate", "sent", "achieved", "most in any second", "most in any 0.1 s")
    return section("Pacing", _PACING.format(seconds=context.seconds), header, rows)


_START = """\
The whole command, rounds: {rounds}. The first record: from the start of `cxai run` until its output
has bytes, at the default 5 requests a second, each answered after 200 ms."""


def start(context: BenchContext) -> str:
    """Measure the help, a single ID, and the first record."""
    repeat, help_ = range(context.rounds), (sys.executable, "-m", "cxai", "--help")
    with context.server() as server:
        runs = {
            "cxai --help": [context.run(*help_) for _ in repeat],
            "one ID": [context.do_once(WORKER, server, 1) for _ in repeat],
            "one ID, bare aiohttp + uvloop": [context.do_once(BARE, server, 1) for _ in repeat],
        }
    rows = [
        (what, *(spread((getattr(run, it) for run in some), ".2f") for it in ("wall_s", "cpu_s")))
        for what, some in runs.items()
    ]
    first = spread((_first_record_s(context) for _ in repeat), ".2f")
    header = ("what", "seconds", "CPU seconds")
    how = _START.format(rounds=context.rounds)
    return section("The start", how, header, [*rows, ("first record on disk", first)])


def _first_record_s(context: BenchContext) -> float:
    with (
        context.server("--delay", "0.2") as server,
        context.task(server, ids=10) as task,
        ThreadPoolExecutor(1) as aside,
    ):
        begun = time.perf_counter()
        run = aside.submit(context.do, worker("--rate 5 --in-flight 10"), task)
        while not (run.done() or any(file.stat().st_size for file in task.out.glob("records-*"))):
            time.sleep(0.002)
        seconds = time.perf_counter() - begun
        run.result()
    return seconds


_SCALE = """\
`cxai run` with results of 5 kB, its time per ID taken from the arrival of its requests; and ten
times as many IDs through input, look-up and commit alone, without requests and bodies, CPU time
(`bench/bookkeeping.py`). The ledger of the larger run has {ledger:.1f} bytes per ID."""


def scale(context: BenchContext) -> str:
    """Measure whether anything grows with the number of IDs."""
    ids = (context.ids // 50, context.ids, 10 * context.ids)
    with context.server("--short") as server:
        with context.task(server, ids[0]) as task:
            small = context.do(WORKER, task)
        server.arrivals()
        with context.task(server, ids[1]) as task:
            whole = context.do(WORKER, task)
            ledger = (task.out / "ledger.sqlite").stat().st_size / ids[1]
        with context.task(server, ids[2]) as task:
            alone = context.run(sys.executable, "-m", "bench.bookkeeping", task.ids, task.out)
        books = _tenths(json.loads((context.scratch / "log").read_bytes()), ids[2])
        # Only now: a million times make this process larger, which would count in a later peak.
        growth = _tenths(server.arrivals(), ids[1])
    parts = ("cxai run", "cxai run", "input, look-up and commit")
    runs = zip(parts, ids, (small, whole, alone), ((), growth, books), strict=True)
    rows = [
        (what, f"{count:,}", f"{run.wall_s:.1f}", f"{run.peak_mib:.1f}", *tenths)
        for what, count, run, tenths in runs
    ]
    header = ("what", "IDs", "seconds", "peak MiB", "µs/ID, first tenth", "last tenth", "÷ first")
    return section("Scale", _SCALE.format(ledger=ledger), header, rows)


def _tenths(seconds: Sequence[float], ids: int) -> Sequence[str]:
    """Return the microseconds per ID in the first and the last tenth of a run, of even steps."""
    if (tenth := len(seconds) // 10) < 1:
        raise FailedRunError("too short a run to tell its tenths apart: give it more --ids")
    us = 1e6 * len(seconds) / ids / tenth
    first, last = (seconds[tenth] - seconds[0]) * us, (seconds[-1] - seconds[-1 - tenth]) * us
    return f"{first:.1f}", f"{last:.1f}", f"{last / first:.2f}"


SECTIONS: Mapping[str, Callable[[BenchContext], str]] = {
    each.__name__.replace("_", "-"): each
    for each in (one_core, all_cores, latency, pacing, start, scale)
}
