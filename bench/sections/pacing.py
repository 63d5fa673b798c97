"""How exactly the worker keeps to its rate, as the server counts it."""

from bench.arrivals import most_within, pace
from bench.clients import worker
from bench.context import BenchContext
from bench.page import Section
from bench.serving import serving

_RATES = (10, 50, 200, 1_000)
_HOW = """\
`cxai run --rate R`, {seconds:g} s at each rate, once evenly and once with `--burst`, which sends a
second's budget at once. Counted where the server is, by the times at which its kernel had each
request: so whatever happens on the way counts, but not how late a busy server comes to read it.
Each response leaves 10 ms later."""


def pacing(context: BenchContext) -> Section:
    """Measure the worker at each rate."""
    rows, shares, over, bunched = [], [], [], []
    for burst, rate in ((burst, rate) for burst in (False, True) for rate in _RATES):
        client = worker(f"--rate {rate} {'--burst' * burst}")
        with serving(context.cores[:1], "--delay", "0.01") as server:
            context.do_once(client, server, max(2 * rate, round(rate * context.seconds)))
            times = server.arrivals()
        in_a_second, in_a_tenth = most_within(times, 1.0), most_within(times, 0.1)
        shares.append(pace(times, rate if burst else 1) / rate)
        over.append(in_a_second - rate)
        bunched += [] if burst else [in_a_tenth - rate // 10 - 1]
        sent, achieved = "in bursts" if burst else "evenly", f"{shares[-1]:.2%}"
        rows.append((f"{rate:,}/s", sent, achieved, f"{in_a_second:,}", f"{in_a_tenth:,}"))
        context.report(f"pacing: {', '.join(rows[-1])}")
    return Section(
        "Pacing",
        _HOW.format(seconds=context.seconds),
        ("rate", "sent", "achieved", "most in any second", "most in any 0.1 s"),
        rows,
        {
            "least share of the rate": min(shares),
            "requests beyond the rate in a second": max(over),
            "requests beyond a tenth of the rate + 1 in 0.1 s": max(bunched),
        },
    )
