"""What the API answers to the n-th request for an ID. Pure: the server counts, this decides."""

from dataclasses import dataclass, field
from http import HTTPStatus

from worker.simulator.bodies import error_json, status_json
from worker.simulator.coding import IDENTITY, choose, cut_short, encoded_result
from worker.simulator.fate import Fate
from worker.simulator.scenario import Kind, Scenario

_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response to be sent after `delay_s` seconds. `body` is encoded with `coding`."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = _JSON
    coding: str = IDENTITY
    retry_after_s: int | None = None
    delay_s: float = 0.0


def error(
    status: int, message: str | None = None, *, retry_after_s: int | None = None, delay_s: float = 0
) -> Answer:
    """Return an error with a JSON body, with the standard phrase of `status` as default message."""
    body = error_json(status, message or HTTPStatus(status).phrase)
    return Answer(status, body, retry_after_s=retry_after_s, delay_s=delay_s)


def result(scenario: Scenario, its: Fate, earlier: int, accept_encoding: str) -> Answer:
    """Answer a request for a result.

    `earlier` counts the requests that its trouble had before this one, as Fate.trouble_lasts does.
    """
    in_trouble = earlier < its.trouble_lasts
    if instead := _instead_of_result(scenario, its, earlier if in_trouble else None):
        return instead
    coding = choose(accept_encoding, its.coding_draw)
    body = encoded_result(scenario.seed, its.variant, coding)
    if its.kind is Kind.CORRUPT and in_trouble:
        body = cut_short(body, its.cut_draw)
    delay_s = scenario.latency_s + (scenario.slow_s if its.kind is Kind.SLOW else 0.0)
    return Answer(200, body, coding=coding, delay_s=delay_s)


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
            return error(its.refusals[n], retry_after_s=1)
        case Kind.ERRING, int(n):
            return error(its.refusals[n], delay_s=delay_s)
        case Kind.BROKEN, _:
            return error(500, delay_s=delay_s)
        case Kind.GARBLED, _:
            return Answer(200, _PAGE, _HTML, delay_s=delay_s)
        case _:
            return None
