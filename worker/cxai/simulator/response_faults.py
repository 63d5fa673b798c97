"""Whole responses that stand in for a result. Pure: the time of day is an argument."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import orjson

from cxai.simulator.bodies import result_json
from cxai.simulator.coding import encode
from cxai.simulator.exchange import RequestContext, Response, error, found

Respond = Callable[[RequestContext], Response]

ELSEWHERE = "/simulator/elsewhere"
"""Where redirects lead. A client need not follow them, and must not send the token there."""


def status(code: int) -> Respond:
    """Respond with an error of this status."""
    return lambda _context: error(code)


def redirect(to: str) -> Respond:
    """Redirect to a URL; `{port}` in it is the simulator's own."""
    return lambda context: Response(302, headers={"Location": to.format(port=context.port)})


def throttled(retry_after: str, padding_bytes: int = 0) -> Respond:
    """Respond with 429 and this Retry-After."""
    response = error(429, retry_after=retry_after)
    return lambda _context: replace(response, body=response.body + b" " * padding_bytes)


def throttled_until(ahead: timedelta) -> Respond:
    """Respond with 429 and a date as Retry-After."""
    return lambda context: error(429, retry_after=format_datetime(context.at + ahead, usegmt=True))


def echo_token(context: RequestContext) -> Response:
    """Add the token to the result."""
    echo = orjson.dumps({"echo": {context.token: context.token.upper()}})
    body = echo[:-1] + b"," + result_json(context.seed, context.variant)[1:]
    return found(encode(body, context.coding), context.coding)
