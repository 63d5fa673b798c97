"""What happens to an ID: a pure function of the scenario and the ID, in every process and order."""

import codecs
import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from cxai.simulator.bodies import VARIANTS, result_json
from cxai.simulator.faults import Fault
from cxai.simulator.scenario import PROBLEMS, Kind, Scenario

_DRAWS = struct.Struct("<4Q")
_SERVER_ERRORS = (500, 502, 503, 504)
_NO_RESULT = frozenset({Kind.MISSING, Kind.ABANDONED, Kind.FAILED, Kind.BROKEN, Kind.GARBLED})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the API responds to requests for one ID.

    Its first requests for the result get the statuses `refusals`. Its problem affects `affected`
    requests before it has passed: those for the status if it is `processing`, else for the result;
    0 if the problem lasts, or is none. `variant` is that of its result. `coding_draw` and `draw`,
    in [0, 1), choose the content coding, and all else that varies. `fault` is for a `faulty` ID.
    """

    kind: Kind
    refusals: tuple[int, ...]
    affected: int
    variant: int
    coding_draw: float
    draw: float
    fault: Fault | None = None

    @property
    def has_result(self) -> bool:
        """Whether a client that retries gets a result in the end."""
        is_lost = self.fault and not self.fault.entry.harmless and not self.affected
        return self.kind not in _NO_RESULT and not is_lost


def behaviour_of(scenario: Scenario, interaction_id: str) -> Behaviour:
    """Return what happens to this ID. Equal arguments give equal results."""
    seeded = f"{scenario.seed}:{interaction_id}".encode()
    kind_bits, variant_bits, coding_bits, bits = _DRAWS.unpack(
        blake2b(seeded, digest_size=_DRAWS.size).digest()
    )
    kind = _kind(scenario, _unit(kind_bits))
    refusals = _refusals(kind, bits)
    affected = {
        Kind.PROCESSING: scenario.processing_looks,
        Kind.CORRUPT: 1,
        Kind.FAULTY: scenario.fault_lasts or 0,
    }.get(kind, len(refusals))
    fault = scenario.faults[bits % len(scenario.faults)] if kind is Kind.FAULTY else None
    variant = variant_bits % VARIANTS
    return Behaviour(kind, refusals, affected, variant, _unit(coding_bits), _unit(bits), fault)


def expected_result(scenario: Scenario, interaction_id: str) -> dict[str, Any]:
    """Return the result that the API sends for this ID in the end, parsed.

    Raises ValueError if it never sends one (`Behaviour.has_result` is false).
    """
    its = behaviour_of(scenario, interaction_id)
    if not its.has_result:
        raise ValueError(f"{interaction_id} is {its.kind}: it has no result.")
    body = result_json(scenario.seed, its.variant)
    if its.fault and its.fault.entry.harmless and its.fault.entry.json:
        body = its.fault.entry.json(body)
    result: dict[str, Any] = orjson.loads(body.removeprefix(codecs.BOM_UTF8))
    return result


def _unit(bits: int) -> float:
    """Map 64 bits to [0, 1): the upper 53 of them, as many as a float keeps."""
    return (bits >> 11) / (1 << 53)


def _kind(scenario: Scenario, draw: float) -> Kind:
    upper = 0.0
    for kind in PROBLEMS:
        upper += scenario.share(kind)
        if draw < upper:
            return kind
    return Kind.OK


def _refusals(kind: Kind, bits: int) -> tuple[int, ...]:
    if kind is Kind.ERRING:
        errors = _SERVER_ERRORS[bits & 3], _SERVER_ERRORS[bits >> 2 & 3]
        return errors if bits >> 4 & 1 else errors[:1]
    return (429,) if kind is Kind.THROTTLED else ()
