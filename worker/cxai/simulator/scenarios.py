"""Scenarios by name, each with what it shows: everything that the simulator can do wrong."""

from collections.abc import Mapping
from difflib import get_close_matches

from cxai.simulator.faults import Fault
from cxai.simulator.scenario import Scenario

SHARE = 0.25
"""The share of IDs that have the problem which a scenario is about."""

# It would hold up a whole soak, not just one ID.
_NOT_IN_A_STORM = frozenset({Fault.RETRY_AFTER_HUGE})


def _of(fault: Fault) -> Scenario:
    return Scenario(faulty=SHARE, faults=(fault,), fault_lasts=fault.entry.times)


SCENARIOS: Mapping[str, tuple[str, Scenario]] = {
    "calm": ("nothing is wrong", Scenario()),
    "storm": (
        "a little of everything, and an outage every minute",
        Scenario(
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
    ),
    "outage": ("20 s up, then 30 s of 503 for every request, repeatedly", Scenario(outage_s=30.0)),
    "outage-drops": (
        "20 s up, then 30 s of connections that close without a response, repeatedly",
        Scenario(outage_s=30.0, outage_drops=True),
    ),
    "token-changes": (
        "after 20 requests another token is required (401)",
        Scenario(token_after=20),
    ),
    "rate-limit": ("429 above 5 requests per second", Scenario(rate=5.0)),
    "in-flight-limit": (
        "429 above 3 requests at a time, 0.5 s each",
        Scenario(in_flight=3, latency_s=0.5),
    ),
    "missing": ("404, and no such interaction", Scenario(missing=SHARE)),
    "processing": ("404 until the status was requested twice", Scenario(processing=SHARE)),
    "abandoned": ("404, and no file for three days", Scenario(abandoned=SHARE)),
    "failed": ("404, and a status that gives the error", Scenario(failed=SHARE)),
    "throttled": ("429 with Retry-After: 1, once", Scenario(throttled=SHARE)),
    "erring": ("500, 502, 503 or 504, once or twice", Scenario(erring=SHARE)),
    "slow": ("5 s for each result", Scenario(slow=SHARE, slow_s=5.0)),
    "corrupt": ("a body truncated inside its content coding, once", Scenario(corrupt=SHARE)),
    "broken": ("500, always", Scenario(broken=SHARE)),
    "garbled": ("200 with HTML, always", Scenario(garbled=SHARE)),
    **{fault.value: (fault.entry.shows, _of(fault)) for fault in Fault},
}
"""Name → what it shows, and the scenario."""


def named(name: str) -> Scenario:
    """Return the scenario of this name. Raises ValueError, with the nearest names, if unknown."""
    if name not in SCENARIOS:
        nearest = " or ".join(get_close_matches(name, SCENARIOS))
        meant = f" Did you mean {nearest}?" if nearest else ""
        raise ValueError(f"There is no scenario {name!r}.{meant} --list shows all of them.")
    return SCENARIOS[name][1]


def listing() -> str:
    """Return all names with what they show, one a line."""
    width = max(map(len, SCENARIOS))
    return "\n".join(f"{name:{width}}  {shows}" for name, (shows, _) in SCENARIOS.items())
