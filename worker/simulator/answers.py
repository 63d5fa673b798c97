"""What the API answers to the n-th request for an ID. Pure: the server counts, this decides."""

from dataclasses import replace

from worker.simulator.answer import HTML, Answer, error
from worker.simulator.bodies import status_json
from worker.simulator.coding import cut_short, encoded_result
from worker.simulator.fate import Fate
from worker.simulator.replies import Asked, faulty
from worker.simulator.scenario import Kind, Scenario

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


def status(scenario: Scenario, interaction_id: str, its: Fate, earlier: int) -> Answer:
    """Answer a request for the status of an interaction; `earlier` as for `result`."""
    match its.kind:
        case Kind.MISSING:
            return error(404, "No such interaction.", delay_s=scenario.latency_s)
        case Kind.PROCESSING if earlier < its.trouble_lasts:
            body = status_json(interaction_id, "processing", its.cut_draw)
        case Kind.FAILED:
            why = "The audio could not be transcribed."
            body = status_json(interaction_id, "processingFailed", its.cut_draw, why)
        case _:
            body = status_json(interaction_id, "processed", its.cut_draw)
    return Answer(200, body, delay_s=scenario.latency_s)


def _instead_of_result(scenario: Scenario, its: Fate, earlier: int | None) -> Answer | None:
    """Return what comes instead of a result; `earlier` is None once the trouble has passed."""
    delay_s = scenario.latency_s
    match its.kind, earlier:
        case (Kind.MISSING | Kind.FAILED, _) | (Kind.PROCESSING, int()):
            return error(404, "No result for this interaction.", delay_s=delay_s)
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
