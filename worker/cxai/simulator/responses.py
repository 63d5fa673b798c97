"""The API's response to the n-th request for an ID. Pure: the server counts, this decides."""

from dataclasses import replace
from datetime import datetime

from cxai.simulator.behaviour import Behaviour
from cxai.simulator.coding import cut_short, encoded_result
from cxai.simulator.exchange import RequestContext, Response, error, found
from cxai.simulator.interactions import status_json
from cxai.simulator.scenario import Kind, Scenario

_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>\n"
_THROTTLED = 429


def result(scenario: Scenario, its: Behaviour, earlier: int, context: RequestContext) -> Response:
    """Respond to a request for a result; `earlier` counts the affected requests before it."""
    is_affected = earlier < its.affected
    match its.kind:
        case Kind.MISSING | Kind.FAILED | Kind.ABANDONED:
            response = error(404)
        case Kind.PROCESSING if is_affected:
            response = error(404)
        case Kind.THROTTLED if is_affected:
            response = error(429, retry_after="1")
        case Kind.ERRING if is_affected:
            response = error(its.refusals[earlier])
        case Kind.BROKEN:
            response = error(500)
        case Kind.GARBLED:
            response = found(_PAGE, content_type="text/html")
        case Kind.FAULTY if its.fault and (is_affected or not its.affected):
            response = its.fault.inject(context)
        case _:
            body = encoded_result(scenario.seed, its.variant, context.coding)
            is_cut = its.kind is Kind.CORRUPT and is_affected
            response = found(cut_short(body, its.draw) if is_cut else body, context.coding)
    if response.status == _THROTTLED:
        return response
    return replace(response, delay_s=scenario.latency_s + scenario.slow_s * (its.kind is Kind.SLOW))


def status(
    scenario: Scenario, interaction_id: str, its: Behaviour, earlier: int, at: datetime
) -> Response:
    """Respond to a request for the status of an interaction; `earlier` as for `result`."""
    known = found(status_json(interaction_id, its, earlier, at))
    return replace(error(404) if its.kind is Kind.MISSING else known, delay_s=scenario.latency_s)
