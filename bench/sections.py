"""Each section measures one thing, and says on the page how."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median

from bench.arrivals import most_within, pace
from bench.clients import BARE, BUN, GO, PEERS, PLAIN, WORKER, Client, worker
from bench.comparison import Comparison, Section
from bench.context import BenchContext
from bench.measurement import FailedRunError, spread

_ONE_CORE = """\
{ids:,} distinct IDs (more for the bare client, fewer for slow ones, so that all runs last about as
long), 64 requests at a time; the server has one core, the client another one. Each body is sent as
br or, to a client that doesn't ask for br, as gzip. Measured is the whole command, its start
included; CPU is user and system time of all its processes, peak the resident memory of the largest.
Each figure is the median of {rounds} interleaved rounds, with the least and the greatest; ratios
are taken within a round. Every client writes the same records, which is checked; only the worker
validates, accounts for each ID, and has each batch on the disk before it counts."""


def one_core(context: BenchContext) -> Section:
    """Measure all clients on one core."""
    with context.server() as server:
        found = Comparison(context, (WORKER, BARE, *PEERS), server, context.ids)

    def columns(one: Client) -> Sequence[str]:
        return (
            spread((1e6 * cpu_s for cpu_s in found.all(one, "cpu_s")), ",.0f"),
            spread(found.ratios(BARE, one, "cpu_s"), ".3f"),
            f"{median(found.ratios(one, WORKER, 'cpu_s')):.2f} x",
            spread((1 / seconds for seconds in found.all(one, "seconds")), ",.0f"),
            spread(found.ratios(BARE, one, "seconds"), ".3f"),
            f"{median(found.all(one, 'peak_mib')):,.0f}",
        )

    return Section(
        "One core",
        _ONE_CORE.format(ids=context.ids, rounds=context.rounds),
        ("client", "CPU µs/ID", "of bare", "÷ the worker's", "IDs/s", "of bare", "peak MiB"),
        found.rows(columns),
        {f"CPU on one core, {key}": ratio for key, ratio in found.against("cpu_s").items()},
    )


_ALL_CORES = """\
The same on {cores} cores, which the server shares, by the clock. The worker decodes, validates and
encodes in reader processes, Go uses all cores by itself, and the bare client has one."""


def all_cores(context: BenchContext) -> Section:
    """Measure the worker with readers, and Go, on all cores, beside the bare client on one."""
    options = f"--readers {max(1, len(context.cores) - 1)}"
    ours = replace(worker(options), name=f"cxai run {options}", all_cores=True)
    with context.server(on=context.cores) as server:
        clients = (ours, BARE, replace(GO, all_cores=True))
        found = Comparison(context, clients, server, context.ids)

    def columns(one: Client) -> Sequence[str]:
        return (
            spread((1 / seconds for seconds in found.all(one, "seconds")), ",.0f"),
            spread(found.ratios(BARE, one, "seconds"), ".3f"),
            f"{median(found.ratios(one, ours, 'seconds')):.2f} x",
        )

    return Section(
        "All cores",
        _ALL_CORES.format(cores=len(context.cores)),
        ("client", "IDs/s", "of bare", "time ÷ the worker's"),
        found.rows(columns),
        {f"time on all cores, {key}": ratio for key, ratio in found.against("seconds").items()},
    )


_LATENCY = """\
Each response leaves a fixed time after its request came, so that no client can get more per second
than its requests in flight divided by that time. 10 in flight are what the worker does unless it is
asked for more. Counted by the server, from the first request to the last, {rounds} rounds."""


def latency(context: BenchContext) -> Section:
    """Measure what users feel: how much of what the latency allows is reached."""
    rows, shares = [], {}
    for in_flight, delay_s, tls, peers in (
        (10, 0.2, True, (BUN, GO, PLAIN)),
        (64, 0.05, False, ()),
    ):
        ids, bound = in_flight * max(8, round(context.seconds / 2 / delay_s)), in_flight / delay_s
        with context.server(delay_s=delay_s, tls=tls) as server:
            found = Comparison(
                context, (WORKER, BARE, *peers), server, ids, equal=True, in_flight=in_flight
            )
        share = {
            one: [per_s / bound for per_s in found.all(one, "requests_per_s")]
            for one in found.clients
        }
        setting = f"{in_flight} in flight, {delay_s * 1e3:.0f} ms{', TLS' * tls}"
        of = found.rows(lambda one, share=share: (spread(share[one], ".3f"),))
        rows += [(setting, *row) for row in of]
        shares[f"share of the bound, {in_flight} in flight"] = median(share[WORKER])
    header = ("setting", "client", "share of the bound")
    return Section("Bound by latency", _LATENCY.format(rounds=context.rounds), header, rows, shares)


_PACING = """\
`cxai run --rate R`, {seconds:g} s at each rate, once evenly and once with `--burst`, which sends a
second's budget at once. Counted where the server is, by the times at which its kernel had each
request: so whatever happens on the way counts, but not how late a busy server comes to read it.
Each response leaves 10 ms later."""


def pacing(context: BenchContext) -> Section:
    """Measure how exactly the worker keeps to its rate."""
    rows, shares, over, bunched = [], [], [], []
    with context.server(delay_s=0.01) as server:
        for burst in (False, True):
            for rate in (10, 50, 200, 1_000):
                client = worker(f"--rate {rate} {'--burst' * burst}")
                context.do_once(client, server, max(2 * rate, round(rate * context.seconds)))
                times = server.arrivals()
                in_a_second, in_a_tenth = most_within(times, 1.0), most_within(times, 0.1)
                shares.append(pace(times, rate if burst else 1) / rate)
                over.append(in_a_second - rate)
                bunched += [] if burst else [in_a_tenth - rate // 10 - 1]
                sent = "in bursts" if burst else "evenly"
                most = (f"{in_a_second:,}", f"{in_a_tenth:,}")
                rows.append((f"{rate:,}/s", sent, f"{shares[-1]:.2%}", *most))
                context.report(f"pacing: {', '.join(rows[-1])}")
    return Section(
        "Pacing",
        _PACING.format(seconds=context.seconds),
        ("rate", "sent", "achieved", "most in any second", "most in any 0.1 s"),
        rows,
        {
            "least share of the rate": min(shares),
            "requests beyond the rate in a second": max(over),
            "requests beyond a tenth of the rate + 1 in 0.1 s": max(bunched),
        },
    )


_START = """\
The whole command, {rounds} times. The first record: from the start of `cxai run` until its output
has bytes, at the default 5 requests a second, each answered after 200 ms."""


def start(context: BenchContext) -> Section:
    """Measure the help, a single ID, and the first record."""
    repeat, help_ = range(context.rounds), (sys.executable, "-m", "cxai", "--help")
    with context.server() as server:
        runs = {
            "cxai --help": [context.run(*help_) for _ in repeat],
            "one ID": [context.do_once(WORKER, server, 1) for _ in repeat],
            "one ID, bare aiohttp + uvloop": [context.do_once(BARE, server, 1) for _ in repeat],
        }
    first = [_first_record_s(context) for _ in repeat]
    rows = [
        (
            what,
            spread((run.wall_s for run in some), ".2f"),
            spread((run.cpu_s for run in some), ".2f"),
        )
        for what, some in runs.items()
    ]
    cpu = {f"CPU seconds, {what}": median(run.cpu_s for run in some) for what, some in runs.items()}
    return Section(
        "The start",
        _START.format(rounds=context.rounds),
        ("what", "seconds", "CPU seconds"),
        [*rows, ("first record on disk", spread(first, ".2f"))],
        cpu | {"seconds to the first record": median(first)},
    )


def _first_record_s(context: BenchContext) -> float:
    with (
        context.server(delay_s=0.2) as server,
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
`cxai run` with results of 5 kB, watched by its own progress lines, and ten times as many IDs
through input, look-up and commit alone, without requests and bodies (`bench/bookkeeping.py`). The
ledger of the larger run has {ledger:.1f} bytes per ID."""


def scale(context: BenchContext) -> Section:
    """Measure whether anything grows with the number of IDs."""
    settings = context.scratch / "scale.toml"
    settings.write_text('progress_s = 0.2\nlog_format = "json"\n', encoding="utf-8")
    client, ids = worker(f"--config {settings} --progress lines"), context.ids
    with context.server(short=True) as server:
        with context.task(server, ids // 50) as task:
            small = context.do(client, task)
        with context.task(server, ids) as task:
            whole = context.do(client, task)
            lines = context.log.read_text(encoding="utf-8").splitlines()
            ledger = (task.out / "ledger.sqlite").stat().st_size / ids
        context.report(f"scale: {ids:,} IDs: {whole}")
        with context.task(server, 10 * ids) as task:
            alone = context.run(sys.executable, "-m", "bench.bookkeeping", task.ids, task.out)
    events = [json.loads(line) for line in lines if line.startswith("{")]
    marks = [(one["done"], one["elapsed_s"]) for one in events if one["event"] == "progress"]
    growth = _tenths([mark for mark in marks if mark[0]])
    books = _tenths(json.loads(context.log.read_text(encoding="utf-8")))
    rows = (
        ("cxai run", ids // 50, small, ()),
        ("cxai run", ids, whole, growth),
        ("input, look-up and commit", 10 * ids, alone, books),
    )
    return Section(
        "Scale",
        _SCALE.format(ledger=ledger),
        ("what", "IDs", "seconds", "peak MiB", "µs per ID, first tenth", "last tenth"),
        [
            (
                what,
                f"{n:,}",
                f"{run.wall_s:.1f}",
                f"{run.peak_mib:.1f}",
                *(f"{us:.1f}" for us in its),
            )
            for what, n, run, its in rows
        ],
        {
            "time per ID, last tenth against first": growth[1] / growth[0],
            "books, last tenth against first": books[1] / books[0],
            "peak memory against a fiftieth of the IDs": whole.peak_mib / small.peak_mib,
            "peak MiB": whole.peak_mib,
            "ledger, bytes per ID": ledger,
        },
    )


def _tenths(marks: Sequence[tuple[int, float]]) -> tuple[float, ...]:
    """Return the microseconds per ID in the first and in the last tenth of (IDs done, seconds)."""
    if len(marks) < 20:  # noqa: PLR2004 - two for each tenth
        raise FailedRunError("too short a run to tell its tenths apart: give it more --ids")
    first = next(mark for mark in marks if mark[0] >= marks[-1][0] / 10)
    last = next(mark for mark in reversed(marks) if mark[0] <= marks[-1][0] * 9 / 10)
    pairs = ((marks[0], first), (last, marks[-1]))
    return tuple((end[1] - begin[1]) / (end[0] - begin[0]) * 1e6 for begin, end in pairs)


SECTIONS: Mapping[str, Callable[[BenchContext], Section]] = {
    "one-core": one_core,
    "all-cores": all_cores,
    "latency": latency,
    "pacing": pacing,
    "start": start,
    "scale": scale,  # runs only when it is named: with a million IDs it takes ten minutes
}
