"""How exactly the worker keeps to its rate, as the server counts it."""

from dataclasses import dataclass

from bench.arrivals import most_within, pace
from bench.clients import WORKER, cxai
from bench.page import Claim, Section
from bench.workshop import Workshop

_RATES = (10, 50, 200, 1_000)
_ACHIEVED = 0.995
_LATENCY_S = 0.01

_HOW = """\
`cxai run --rate R`, {seconds:g} s at each rate, once evenly and once with `--burst`, which sends a
second's budget at once. Counted where the server is, by the times at which its kernel had each
request: so whatever happens on the way counts, but not how late a busy server comes to read it.
Each response leaves {latency:.0f} ms later."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What arrived at one rate."""

    rate: int
    burst: bool
    achieved: float
    in_a_second: int
    in_a_tenth: int

    @property
    def allowed_in_a_tenth(self) -> int:
        return self.rate // 10 + 1


def pacing(workshop: Workshop) -> Section:
    """Measure the worker at each rate."""
    found = [_at(workshop, rate, burst=burst) for burst in (False, True) for rate in _RATES]
    smooth = [one for one in found if not one.burst]
    least = min(one.achieved for one in found)
    over = max(one.in_a_second - one.rate for one in found)
    bunched = max(one.in_a_tenth - one.allowed_in_a_tenth for one in smooth)
    return Section(
        "Pacing",
        _HOW.format(seconds=workshop.size.pacing_s, latency=_LATENCY_S * 1000),
        ("rate", "sent", "achieved", "most in any second", "most in any 0.1 s"),
        [_row(one) for one in found],
        [
            Claim(
                "achieved of the rate, at the worst",
                f"≥ {_ACHIEVED:.1%}",
                f"{least:.2%}",
                least >= _ACHIEVED,
            ),
            Claim("most in any sliding second", "no more than allowed", _beyond(over), over <= 0),
            Claim(
                "most in any 0.1 s, sent evenly",
                "a tenth of the rate + 1",
                _beyond(bunched),
                bunched <= 0,
            ),
        ],
    )


def _at(workshop: Workshop, rate: int, *, burst: bool) -> _Kept:
    options = ("--rate", str(rate), *(("--burst",) if burst else ()))
    together = rate if burst else 1
    ids = max(2 * rate, round(rate * workshop.size.pacing_s))
    with workshop.own_server(_LATENCY_S, stamped=True) as (base_url, arrivals):
        workshop.run_once(WORKER, cxai(*options), base_url, ids)
    times = arrivals.times
    kept = _Kept(
        rate, burst, pace(times, together) / rate, most_within(times, 1.0), most_within(times, 0.1)
    )
    workshop.say(f"pacing: {', '.join(_row(kept))}")
    return kept


def _row(kept: _Kept) -> tuple[str, ...]:
    return (
        f"{kept.rate:,}/s",
        "in bursts" if kept.burst else "evenly",
        f"{kept.achieved:.2%}",
        f"{kept.in_a_second:,}",
        f"{kept.in_a_tenth:,}",
    )


def _beyond(more: int) -> str:
    return "kept at all rates" if more <= 0 else f"up to {more} more"
