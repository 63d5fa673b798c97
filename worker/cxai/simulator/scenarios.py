"""Scenarios by name, each with what it shows: everything that the simulator can do wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxai.simulator.fault import DESCRIPTIONS, Fault
from cxai.simulator.scenario import Scenario

FAULTY = 0.25
"""Share of the IDs that have the trouble which a scenario is about."""

_ONCE = frozenset(fault for fault in Fault if fault.startswith(("retry-after", "error-body")))

# They would hold up a whole soak, not just one ID.
_NOT_IN_A_STORM = frozenset({Fault.RETRY_AFTER_HUGE})


@dataclass(frozen=True, slots=True)
class Named:
    """A scenario and what a user is told of it, in a line."""

    scenario: Scenario
    description: str


def _scenario(description: str, **fields: Any) -> Named:
    return Named(Scenario(**fields), description)


def _faulty(fault: Fault) -> Named:
    lasts = 1 if fault in _ONCE else None
    return _scenario(DESCRIPTIONS[fault], faulty=FAULTY, faults=(fault,), fault_lasts=lasts)


SCENARIOS: Mapping[str, Named] = {
    "calm": _scenario("nothing is wrong"),
    "storm": _scenario(
        "a little of everything, and an outage a minute",
        latency_s=0.02,
        outage_s=5.0,
        outage_every_s=60.0,
        missing=0.02,
        processing=0.02,
        abandoned=0.005,
        failed=0.01,
        throttled=0.01,
        erring=0.03,
        slow=0.02,
        corrupt=0.02,
        broken=0.005,
        garbled=0.005,
        faulty=0.1,
        faults=tuple(fault for fault in Fault if fault not in _NOT_IN_A_STORM),
        fault_lasts=1,
    ),
    "outage": _scenario("20 s up, then 30 s of 503 for all, and so on", outage_s=30.0),
    "outage-drops": _scenario(
        "20 s up, then 30 s of connections without a reply, and so on",
        outage_s=30.0,
        outage_drops=True,
    ),
    "token-changes": _scenario("after 20 requests another token counts (401)", token_after=20),
    "rate-limit": _scenario("429 beyond 5 requests per second", rate=5.0),
    "in-flight-limit": _scenario(
        "429 beyond 3 requests at a time, 0.5 s each", in_flight=3, latency_s=0.5
    ),
    "missing": _scenario("404, and no such interaction", missing=FAULTY),
    "processing": _scenario("404 until the status was asked twice", processing=FAULTY),
    "abandoned": _scenario("404, and no file since three days", abandoned=FAULTY),
    "failed": _scenario("404, and a status that says what failed", failed=FAULTY),
    "throttled": _scenario("429 with Retry-After: 1, once", throttled=FAULTY),
    "erring": _scenario("500, 502, 503 or 504, once or twice", erring=FAULTY),
    "slow": _scenario("5 s to each result", slow=FAULTY, slow_s=5.0),
    "corrupt": _scenario("a body cut short inside of its content coding, once", corrupt=FAULTY),
    "broken": _scenario("500, always", broken=FAULTY),
    "garbled": _scenario("200 with HTML, always", garbled=FAULTY),
    **{str(fault): _faulty(fault) for fault in Fault},
}
"""Those with a trouble of single IDs give it to a quarter of them."""


def named(name: str) -> Scenario:
    """Return the scenario of this name. Raises ValueError that names all if there is none."""
    if name not in SCENARIOS:
        raise ValueError(f"There is no scenario {name!r}, but {', '.join(SCENARIOS)}.")
    return SCENARIOS[name].scenario


def listing() -> str:
    """Return all names with their descriptions, a line each."""
    width = max(map(len, SCENARIOS))
    return "\n".join(f"{name:{width}}  {its.description}" for name, its in SCENARIOS.items())
