"""How much of what the latency allows is reached, when the API is what takes time."""

from bench.arrivals import pace
from bench.clients import BARE, IN_FLIGHT, WORKER
from bench.measurement import Spread, interleaved
from bench.page import Claim, Section
from bench.workshop import Workshop

_LATENCY_S = 0.05
_BOUND = IN_FLIGHT / _LATENCY_S
_TARGET = 0.97

_HOW = """\
Each response leaves {latency:.0f} ms after its request came, {in_flight} requests are under way at
a time: so no client can ask more than {bound:,.0f} times a second. Counted by the server from the
first request on, {ids:,} IDs, {rounds} rounds."""


def latency(workshop: Workshop) -> Section:
    """Measure the worker and the bare client."""
    ids = max(8, workshop.size.ids // 4 // IN_FLIGHT) * IN_FLIGHT
    rounds = workshop.size.rounds
    shares: dict[str, list[float]] = {BARE.key: [], WORKER.key: []}
    for number, client in interleaved((BARE, WORKER), rounds):
        with workshop.own_server(_LATENCY_S) as (base_url, arrivals):
            workshop.run_once(client, client.prepare(workshop.scratch), base_url, ids)
        share = pace(arrivals.times, IN_FLIGHT) / _BOUND
        shares[client.key].append(share)
        workshop.say(f"latency, round {number + 1}: {client.name}: {share:.3f} of the bound")
    spreads = {key: Spread.of(some) for key, some in shares.items()}
    rows = [
        (
            client.name,
            f"{spreads[client.key].median * _BOUND:,.0f}",
            spreads[client.key].shown(".3f"),
        )
        for client in (BARE, WORKER)
    ]
    worker, target = spreads[WORKER.key], f"≥ {_TARGET}"
    met = worker.median >= _TARGET
    return Section(
        "Latency",
        _HOW.format(
            latency=_LATENCY_S * 1000, in_flight=IN_FLIGHT, bound=_BOUND, ids=ids, rounds=rounds
        ),
        ("client", "requests/s", "share of the bound"),
        rows,
        [Claim("share of the latency bound", target, worker.shown(".3f"), met)],
    )
