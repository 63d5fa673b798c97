"""How fast the worker is: on one core, on all of them, and when the API is slow."""

from dataclasses import replace

from bench.clients import BARE, BUN, GO, PEERS, PLAIN, WORKER, Client, worker
from bench.comparison import Comparison
from bench.context import BenchContext
from bench.page import Section

_ONE_CORE = """\
{ids:,} distinct IDs (more for the bare client, fewer for slow ones, so that all runs last about as
long), 64 requests at a time; the server has one core, the client another one. Each body is sent as
br or, to a client that doesn't ask for br, as gzip. Measured is the whole command, its start
included; CPU is user and system time of all its processes, peak the resident memory of the largest.
Each figure is the median of {rounds} interleaved rounds, with the least and the greatest; ratios
are taken within a round. Every client writes the same records, which is checked; only the worker
validates, accounts for each ID, and has each batch on the disk before it counts."""
_ALL_CORES = """\
The same on {cores} cores, which the server shares, by the clock. The worker decodes, validates and
encodes in reader processes, Go uses all cores by itself, and the bare client has one."""
_LATENCY = """\
Each response leaves a fixed time after its request came, so that no client can get more per second
than its requests in flight divided by that time. 10 in flight are what the worker does unless it is
asked for more. Counted by the server, from the first request to the last, {rounds} rounds."""
_SETTINGS = ((10, 0.2, ["--tls"], (BUN, GO, PLAIN)), (64, 0.05, [], ()))


def one_core(context: BenchContext) -> Section:
    """Measure all clients on one core."""
    found = Comparison(context, (WORKER, BARE, *PEERS), ids=lambda one: _share(context, one))
    return Section(
        "One core",
        _ONE_CORE.format(ids=context.ids, rounds=context.rounds),
        ("client", "CPU µs/ID", "of bare", "its cost ÷ ours", "IDs/s", "of bare", "peak MiB"),
        found.rows(
            lambda one: found.spread(one, lambda figures: figures["cpu_us"]).shown(",.0f"),
            lambda one: found.ratio(BARE, one, "cpu_us").shown(".3f"),
            lambda one: f"{found.ratio(one, WORKER, 'cpu_us').median:.2f} x",
            lambda one: found.spread(one, lambda figures: 1e6 / figures["wall_us"]).shown(",.0f"),
            lambda one: found.ratio(BARE, one, "wall_us").shown(".3f"),
            lambda one: f"{found.spread(one, lambda figures: figures['peak_mib']).median:,.0f}",
        ),
        found.against("CPU on one core", "cpu_us"),
    )


def all_cores(context: BenchContext) -> Section:
    """Measure the worker with readers, and Go, on all cores, beside the bare client on one."""
    readers = max(1, len(context.cores) - 1)
    name = f"cxai run --readers {readers}"
    ours = replace(worker(f"--readers {readers}"), name=name, all_cores=True)
    clients = (ours, replace(BARE, name=f"{BARE.name}, one core"), replace(GO, all_cores=True))
    found = Comparison(context, clients, ids=lambda one: _share(context, one))
    return Section(
        "All cores",
        _ALL_CORES.format(cores=len(context.cores)),
        ("client", "IDs/s", "of bare", "its cost ÷ ours"),
        found.rows(
            lambda one: found.spread(one, lambda figures: 1e6 / figures["wall_us"]).shown(",.0f"),
            lambda one: found.ratio(BARE, one, "wall_us").shown(".3f"),
            lambda one: f"{found.ratio(one, ours, 'wall_us').median:.2f} x",
        ),
        found.against("time on all cores", "wall_us"),
    )


def latency(context: BenchContext) -> Section:
    """Measure what users feel: how much of what the latency allows is reached."""
    rows, shares = [], {}
    for in_flight, latency_s, tls, peers in _SETTINGS:
        ids = in_flight * max(8, round(context.seconds / 2 / latency_s))
        found = Comparison(
            context, (WORKER, BARE, *peers), "--delay", str(latency_s), *tls,
            ids=lambda _, ids=ids: ids, in_flight=in_flight,
        )  # fmt: skip
        bound = in_flight / latency_s
        share = {
            one: found.spread(one, lambda figures, bound=bound: figures["requests_per_s"] / bound)
            for one in filter(found.ran, (WORKER, BARE, *peers))
        }
        setting = f"{in_flight} in flight, {latency_s * 1e3:.0f} ms{', TLS' * bool(tls)}"
        rows += [(setting, *row) for row in found.rows(lambda one, of=share: of[one].shown(".3f"))]
        shares[f"share of the bound, {in_flight} in flight"] = share[WORKER].median
    header = ("setting", "client", "share of the bound")
    return Section("Bound by latency", _LATENCY.format(rounds=context.rounds), header, rows, shares)


def _share(context: BenchContext, client: Client) -> int:
    return max(2, round(context.ids * client.share))
