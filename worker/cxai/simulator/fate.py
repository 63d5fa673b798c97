"""What awaits an ID: a pure function of the scenario and the ID, whoever asks, when and where."""

import codecs
import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from cxai.simulator.bodies import VARIANTS, result_json
from cxai.simulator.fault import HARMLESS, Fault
from cxai.simulator.scenario import TROUBLES, Kind, Scenario
from cxai.simulator.spoilt_bodies import BODIES

_DRAWS = struct.Struct("<4Q")

_SERVER_ERRORS = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Fate:
    """What awaits one ID.

    - `kind`: what is the matter with it.
    - `refusals`: the HTTP statuses that its first requests for the result get.
    - `trouble_lasts`: after how many requests its trouble has passed: requests for the status if
      it is `processing`, for the result if not. 0 if nothing changes from request to request.
    - `variant`: which of the prebuilt bodies is its result, below VARIANTS.
    - `coding_draw`, `cut_draw`: in [0, 1), choose its content coding and where a body is cut.
    - `fault`: what is wrong with its answers, if it is `faulty`.
    """

    kind: Kind
    refusals: tuple[int, ...]
    trouble_lasts: int
    variant: int
    coding_draw: float
    cut_draw: float
    fault: Fault | None = None

    @property
    def has_result(self) -> bool:
        """Tell whether a client that keeps asking gets a result at last."""
        never = self.fault is not None and self.fault not in HARMLESS and not self.trouble_lasts
        return self.kind not in _NO_RESULT and not never


_NO_RESULT = frozenset({Kind.MISSING, Kind.ABANDONED, Kind.FAILED, Kind.BROKEN, Kind.GARBLED})


def fate(scenario: Scenario, interaction_id: str) -> Fate:
    """Return what awaits this ID. Equal arguments give equal fates, in every process."""
    seeded = f"{scenario.seed}:{interaction_id}".encode()
    kind_bits, body_bits, coding_bits, trouble_bits = _DRAWS.unpack(
        blake2b(seeded, digest_size=_DRAWS.size).digest()
    )
    kind = _kind(scenario, _unit(kind_bits))
    refusals = _refusals(kind, trouble_bits)
    match kind:
        case Kind.PROCESSING:
            trouble_lasts = scenario.processing_looks
        case Kind.CORRUPT:
            trouble_lasts = 1
        case Kind.FAULTY:
            trouble_lasts = scenario.fault_lasts or 0
        case _:
            trouble_lasts = len(refusals)
    fault = scenario.faults[trouble_bits % len(scenario.faults)] if kind is Kind.FAULTY else None
    return Fate(
        kind,
        refusals,
        trouble_lasts,
        body_bits % VARIANTS,
        _unit(coding_bits),
        _unit(trouble_bits),
        fault,
    )


def expected_result(scenario: Scenario, interaction_id: str) -> dict[str, Any]:
    """Return the result of this ID as the API sends it at last, parsed.

    Raises ValueError if it never sends one (`Fate.has_result` is false).
    """
    its = fate(scenario, interaction_id)
    if not its.has_result:
        raise ValueError(f"{interaction_id} is {its.kind}: it has no result.")
    body = result_json(scenario.seed, its.variant)
    if its.fault in HARMLESS and its.fault in BODIES:
        body = BODIES[its.fault](body)
    result: dict[str, Any] = orjson.loads(body.removeprefix(codecs.BOM_UTF8))
    return result


def _unit(bits: int) -> float:
    """Map 64 bits to [0, 1): the upper 53 of them, as many as a float keeps."""
    return (bits >> 11) / (1 << 53)


def _kind(scenario: Scenario, draw: float) -> Kind:
    upper = 0.0
    for kind in TROUBLES:
        upper += scenario.share(kind)
        if draw < upper:
            return kind
    return Kind.OK


def _refusals(kind: Kind, bits: int) -> tuple[int, ...]:
    match kind:
        case Kind.THROTTLED:
            return (429,)
        case Kind.ERRING:
            first, second = _SERVER_ERRORS[bits & 3], _SERVER_ERRORS[bits >> 2 & 3]
            return (first, second) if bits >> 4 & 1 else (first,)
        case _:
            return ()
