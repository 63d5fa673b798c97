"""How fast the worker is beside its peers, when only the client's own work takes time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.clients import BARE, PEERS, WORKER, Client, MissingError, Start
from bench.measurement import FailedRunError, Run, Spread, interleaved
from bench.page import Claim, Section
from bench.workshop import Workshop

_OF_BARE = 0.27
_MIB = 1 << 20
_HEADER = (
    "client",
    "IDs a run",
    "IDs/s",
    "of bare",
    "the worker is",
    "CPU µs/ID",
    "peak MiB",
    "one ID",
)

_HOW = """\
{server} serves {ids:,} distinct IDs (more to the bare client, fewer to slow ones, so that all runs
last about as long) on one core, the client runs on {core}; 64 requests at a time, each body sent as
br or, to who doesn't ask for br (Go doesn't), as gzip. The time of a run is that of the whole
command, its start included, which the last column tells: the time for a single ID. CPU is user and
system time of all its processes, peak the resident memory of the largest (about 20 MiB at least,
which is the measuring process itself, before it becomes the client). Each figure is the median of
{rounds} interleaved rounds, with the least and the greatest; ratios are taken within a round. Every
client writes the same records, which is checked; only the worker validates, accounts for each ID
and has each batch on the disk before it counts."""


@dataclass(slots=True)
class _Found:
    """What came of each client: a run of one ID and its runs by round, or why there are none."""

    single: dict[str, Run]
    runs: dict[str, dict[int, Run]]
    reasons: dict[str, str]


def throughput(workshop: Workshop) -> Section:
    """Measure all clients."""
    chosen = [WORKER, BARE, *(peer for peer in PEERS if peer.key in workshop.peers)]
    found = _Found({}, defaultdict(dict), {})
    ready = _prepared(workshop, chosen, found)
    with workshop.fast_server() as base_url:
        for client, start in ready:
            _measure(workshop, client, start, base_url, None, found)
        for number, (client, start) in interleaved(ready, workshop.size.rounds):
            if client.key not in found.reasons:
                _measure(workshop, client, start, base_url, number, found)
    return Section(
        "Throughput",
        _how(workshop),
        _HEADER,
        [_row(workshop, client, found) for client in chosen],
        _claims(workshop, chosen, found),
    )


def _prepared(
    workshop: Workshop, chosen: Sequence[Client], found: _Found
) -> list[tuple[Client, Start]]:
    ready = []
    for client in chosen:
        try:
            ready.append((client, client.prepare(workshop.scratch)))
        except MissingError as error:
            found.reasons[client.key] = str(error)
    return ready


def _measure(
    workshop: Workshop,
    client: Client,
    start: Start,
    base_url: str,
    number: int | None,
    found: _Found,
) -> None:
    ids = 1 if number is None else workshop.ids_of(client)
    try:
        run = workshop.run_once(client, start, base_url, ids)
    except FailedRunError as error:
        if client in (WORKER, BARE):
            raise
        found.reasons[client.key] = str(error)
        return
    if number is None:
        found.single[client.key] = run
        workshop.say(f"throughput, one ID: {client.name}: {run.wall_s:.2f} s")
    else:
        found.runs[client.key][number] = run
        rate = ids / run.wall_s
        workshop.say(f"throughput, round {number + 1}: {client.name}: {rate:,.0f} IDs/s")


def _how(workshop: Workshop) -> str:
    cores = workshop.cores
    return _HOW.format(
        server="nginx" if workshop.server == "nginx" else "Our own server (bench/server.py)",
        ids=workshop.size.ids,
        core="another one" if cores.client != cores.server else "the same, the only one",
        rounds=workshop.size.rounds,
    )


def _row(workshop: Workshop, client: Client, found: _Found) -> list[str]:
    if client.key in found.reasons:
        return [client.name, f"did not run: {found.reasons[client.key]}", *[""] * 6]
    runs, ids = found.runs[client.key].values(), workshop.ids_of(client)
    faster = _ratio(WORKER, client, workshop, found)
    return [
        client.name,
        f"{ids:,}",
        Spread.of(ids / run.wall_s for run in runs).shown(",.0f"),
        _ratio(client, BARE, workshop, found).shown(".3f"),
        "" if client in (WORKER, BARE) else f"{faster.median:.2f} x as fast",
        f"{Spread.of(run.cpu_s / ids * 1e6 for run in runs).median:,.0f}",
        f"{Spread.of(run.peak_bytes / _MIB for run in runs).median:,.0f}",
        f"{found.single[client.key].wall_s:.2f} s",
    ]


def _ratio(client: Client, other: Client, workshop: Workshop, found: _Found) -> Spread:
    """Return how many times as fast as the other one a client is."""
    its, others = found.runs[client.key], found.runs[other.key]
    ids = workshop.ids_of(client) / workshop.ids_of(other)
    return Spread.of(ids * others[n].wall_s / its[n].wall_s for n in its.keys() & others.keys())


def _claims(workshop: Workshop, chosen: Sequence[Client], found: _Found) -> list[Claim]:
    ratio = _ratio(WORKER, BARE, workshop, found)
    met = ratio.median >= _OF_BARE
    claims = [Claim("throughput, of bare", f"≥ {_OF_BARE}", ratio.shown(".3f"), met)]
    for peer in chosen:
        if peer.target is None:
            continue
        what, target = f"throughput, against {peer.name}", f"≥ {peer.target} x"
        if peer.key in found.reasons:
            claims.append(
                Claim(what, target, f"not measured: {found.reasons[peer.key]}", met=False)
            )
        else:
            faster = _ratio(WORKER, peer, workshop, found)
            claims.append(
                Claim(what, target, faster.shown(".2f") + " x", faster.median >= peer.target)
            )
    return claims
