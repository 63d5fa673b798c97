"""Each section measures one thing, says on the page how, and shows the figures in a table."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median

from support.arrivals import most_within, pace

from bench.clients import BARE, BUN, GO, PEERS, PLAIN, WORKER, Client, worker
from bench.comparison import Comparison, counted, section, spread
from bench.context import BenchContext
from bench.measurement import FailedRunError

_ONE_CORE = """\
{ids:,} distinct IDs (more for the bare client, fewer for slow ones, so that all runs last about as
long), 64 requests at a time; the server has one core, the client another one. Each body is sent as
br or, to a client that doesn't ask for br, as gzip. Measured is the whole command, its start
included; CPU is user and system time of all its processes, peak the resident memory of the largest
(25 MiB at least: that of the measuring process, before it becomes the client). Each figure is the
median of {rounds}, interleaved, or of their ratios, with the lowest and the highest. `of bare`
is the share of the bare client's efficiency or speed that a client reaches, `÷ the worker's` its
CPU time as a multiple of the worker's. Every client but the bare one writes the same records, which
is checked; only the worker validates, accounts for each ID, and has each batch on the disk before
it counts."""


def one_core(context: BenchContext) -> str:
    """Measure all clients on one core."""
    with context.server() as server:
        found = Comparison(context, (WORKER, BARE, *PEERS), server, context.ids)
    return section(
        "One core",
        _ONE_CORE.format(ids=context.ids, rounds=counted(context.rounds)),
        ("client", "CPU µs/ID", "of bare", "÷ the worker's", "IDs/s", "of bare", "peak MiB"),
        found.rows(
            lambda one: spread(found.of(one, "cpu_us"), ",.0f"),
            lambda one: spread(found.ratios(BARE, one, "cpu_us"), ".3f"),
            lambda one: f"{median(found.ratios(one, WORKER, 'cpu_us')):.2f} x",
            lambda one: spread(found.of(one, "ids_per_s"), ",.0f"),
            lambda one: spread(found.ratios(one, BARE, "ids_per_s"), ".3f"),
            lambda one: f"{median(found.of(one, 'peak_mib')):,.0f}",
        ),
    )


_ALL_CORES = """\
The same on {cores} cores, which the server shares, by the clock. The worker decodes, validates and
encodes in reader processes, Go uses all cores by itself, and the bare client has one."""


def all_cores(context: BenchContext) -> str:
    """Measure the worker with readers, and Go, on all cores, beside the bare client on one."""
    options = f"--readers {max(1, len(context.cores) - 1)}"
    ours = replace(worker(options), name=f"cxai run {options}", all_cores=True)
    with context.server(all_cores=True) as server:
        clients = (ours, BARE, replace(GO, all_cores=True))
        found = Comparison(context, clients, server, context.ids)
    return section(
        "All cores",
        _ALL_CORES.format(cores=len(context.cores)),
        ("client", "IDs/s", "of bare", "the worker is"),
        found.rows(
            lambda one: spread(found.of(one, "ids_per_s"), ",.0f"),
            lambda one: spread(found.ratios(one, BARE, "ids_per_s"), ".3f"),
            lambda one: f"{median(found.ratios(ours, one, 'ids_per_s')):.2f} x as fast",
        ),
    )


_LATENCY = """\
Each response leaves a fixed time after its request came, so that no client can get more per second
than its requests in flight divided by that time. 10 in flight are what the worker does unless it is
asked for more. Counted by the server, from the first request to the last; {rounds}."""


def latency(context: BenchContext) -> str:
    """Measure what users feel: how much of what the latency allows is reached."""
    slow = _at_latency(context, 10, 0.2, (BUN, GO, PLAIN), "--tls")
    rows = [*slow, *_at_latency(context, 64, 0.05, ())]
    header = ("setting", "client", "share of the bound")
    return section(
        "Bound by latency", _LATENCY.format(rounds=counted(context.rounds)), header, rows
    )


def _at_latency(
    context: BenchContext, in_flight: int, delay_s: float, peers: Sequence[Client], *tls: str
) -> list[Sequence[str]]:
    ids, bound = in_flight * max(8, round(context.seconds / 2 / delay_s)), in_flight / delay_s
    clients = (WORKER, BARE, *peers)
    with context.server("--delay", str(delay_s), *tls) as server:
        found = Comparison(context, clients, server, ids, equal=True, in_flight=in_flight)
    rows = found.rows(
        lambda one: spread((per_s / bound for per_s in found.of(one, "requests_per_s")), ".3f")
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
                context.report(f"pacing: {', '.join(rows[-1])}")
    header = ("rate", "sent", "achieved", "most in any second", "most in any 0.1 s")
    return section("Pacing", _PACING.format(seconds=context.seconds), header, rows)


_START = """\
The whole command, {rounds}. The first record: from the start of `cxai run` until its output
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
    how = _START.format(rounds=counted(context.rounds))
    return section("The start", how, header, [*rows, ("first record on disk", first)])


def _first_record_s(context: BenchContext) -> float:
    with (
        context.server("--delay", "0.2") as server,
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
        context.report(f"scale: {ids[1]:,} IDs: {whole}")
        growth = _tenths(server.arrivals(), ids[1])
        with context.task(server, ids[2]) as task:
            alone = context.run(sys.executable, "-m", "bench.bookkeeping", task.ids, task.out)
        books = _tenths(json.loads(context.log.read_text(encoding="utf-8")), ids[2])
    rows = [
        (what, f"{count:,}", f"{run.wall_s:.1f}", f"{run.peak_mib:.1f}", *tenths)
        for what, count, run, tenths in (
            ("cxai run", ids[0], small, ()),
            ("cxai run", ids[1], whole, growth),
            ("input, look-up and commit", ids[2], alone, books),
        )
    ]
    header = (
        "what",
        "IDs",
        "seconds",
        "peak MiB",
        "µs per ID, first tenth",
        "last tenth",
        "÷ first",
    )
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
