"""What the API answers to the n-th request for an ID. Pure: the server counts, this decides."""

from dataclasses import replace
from datetime import datetime

from cxai.simulator.answer import HTML, Answer, error
from cxai.simulator.coding import cut_short, encoded_result
from cxai.simulator.fate import Fate
from cxai.simulator.fault import Fault
from cxai.simulator.replies import Asked, faulty
from cxai.simulator.scenario import Kind, Scenario
from cxai.simulator.states import (
    abandoned_json,
    declared_json,
    failed_json,
    processed_json,
    under_way_json,
)

_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>\n"
_THROTTLED = 429


def result(scenario: Scenario, its: Fate, earlier: int, asked: Asked) -> Answer:
    """Answer a request for a result.

    `earlier` counts the requests that its trouble had before this one, as Fate.trouble_lasts does.
    """
    in_trouble = earlier < its.trouble_lasts
    if instead := _instead_of_result(scenario, its, earlier if in_trouble else None):
        return instead
    if its.fault is not None and (in_trouble or not its.trouble_lasts):
        answer = faulty(its.fault, asked)
        return replace(answer, delay_s=0.0 if answer.status == _THROTTLED else scenario.latency_s)
    body = encoded_result(scenario.seed, its.variant, asked.coding)
    if its.kind is Kind.CORRUPT and in_trouble:
        body = cut_short(body, its.cut_draw)
    delay_s = scenario.latency_s + (scenario.slow_s if its.kind is Kind.SLOW else 0.0)
    return Answer(200, body, coding=asked.coding, delay_s=delay_s)


def status(
    scenario: Scenario, interaction_id: str, its: Fate, earlier: int, at: datetime
) -> Answer:
    """Answer a request for the status of an interaction; `earlier` as for `result`."""
    match its.kind:
        case Kind.MISSING:
            return error(404, delay_s=scenario.latency_s)
        case Kind.PROCESSING if earlier < (looks := its.trouble_lasts):
            body = under_way_json(interaction_id, its.cut_draw, earlier, looks, at)
        case Kind.ABANDONED:
            body = abandoned_json(interaction_id, its.cut_draw, at)
        case Kind.FAILED:
            body = failed_json(interaction_id, its.cut_draw)
        case _:
            body = processed_json(interaction_id, its.cut_draw)
    return Answer(200, body, delay_s=scenario.latency_s)


def declared(scenario: Scenario, interaction_id: str, its: Fate) -> Answer:
    """Answer a request for the parameters of an interaction."""
    if its.kind is Kind.MISSING:
        return error(404, delay_s=scenario.latency_s)
    body = declared_json(interaction_id, with_cx_ai=its.fault is not Fault.NO_CX_AI)
    return Answer(200, body, delay_s=scenario.latency_s)


def _instead_of_result(scenario: Scenario, its: Fate, earlier: int | None) -> Answer | None:
    """Return what comes instead of a result; `earlier` is None once the trouble has passed."""
    delay_s = scenario.latency_s
    match its.kind, earlier:
        case (Kind.MISSING | Kind.FAILED | Kind.ABANDONED, _) | (Kind.PROCESSING, int()):
            return error(404, delay_s=delay_s)
        case Kind.THROTTLED, int(n):
            return error(its.refusals[n], retry_after="1")
        case Kind.ERRING, int(n):
            return error(its.refusals[n], delay_s=delay_s)
        case Kind.BROKEN, _:
            return error(500, delay_s=delay_s)
        case Kind.GARBLED, _:
            return Answer(200, _PAGE, HTML, delay_s=delay_s)
        case _:
            return None
