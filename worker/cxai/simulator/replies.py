"""What a faulty ID gets: each fault with the answer that it makes. Pure: the clock is handed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson

from cxai.simulator.answer import Answer, error
from cxai.simulator.bodies import result_json
from cxai.simulator.coding import encode, encoded_result
from cxai.simulator.fault import Fault
from cxai.simulator.spoilt_bodies import BODIES, Spoil
from cxai.simulator.spoilt_codings import CODINGS, Coded
from cxai.simulator.wire_faults import SCRIPTS

ELSEWHERE = "/simulator/elsewhere"
"""Where redirects lead: nobody has to follow them, and the token must not."""

_LONG_AGO = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
_AHEAD = timedelta(seconds=2)
_HUGE_BYTES = 9_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer depends on: the ID's result, and the coding that its client gets.

    `draw`, in [0, 1), chooses what is damaged; `port` is where the simulator listens, `at` the time
    of day. `token` is what the client sent.
    """

    seed: int
    variant: int
    coding: str
    draw: float
    port: int
    at: datetime
    token: str = field(repr=False)


Reply = Callable[[Asked], Answer]


def _error(status: int) -> Reply:
    return lambda _asked: error(status)


def _redirect(to: str) -> Reply:
    return lambda asked: Answer(302, headers={"Location": to.format(port=asked.port)})


def _retry_after(value: str) -> Reply:
    return lambda _asked: error(429, retry_after=value)


def _retry_after_date(asked: Asked) -> Answer:
    return error(429, retry_after=format_datetime(asked.at + _AHEAD, usegmt=True))


def _huge_body(_asked: Asked) -> Answer:
    throttled = error(429, retry_after="1")
    return replace(throttled, body=throttled.body + b" " * _HUGE_BYTES)


def _echo_token(asked: Asked) -> Answer:
    echo = orjson.dumps({"echo": {asked.token: asked.token.upper()}})
    body = echo[:-1] + b"," + result_json(asked.seed, asked.variant)[1:]
    return Answer(200, encode(body, asked.coding), coding=asked.coding)


def _with_body(spoil: Spoil) -> Reply:
    def reply(asked: Asked) -> Answer:
        body = encode(spoil(result_json(asked.seed, asked.variant)), asked.coding)
        return Answer(200, body, coding=asked.coding)

    return reply


def _with_coding(spoil: Callable[[bytes, float], Coded]) -> Reply:
    def reply(asked: Asked) -> Answer:
        body, coding = spoil(result_json(asked.seed, asked.variant), asked.draw)
        return Answer(200, body, coding=coding)

    return reply


def _good(asked: Asked) -> Answer:
    body = encoded_result(asked.seed, asked.variant, asked.coding)
    return Answer(200, body, coding=asked.coding)


REPLIES: Mapping[Fault, Reply] = {
    Fault.REJECTED: _error(400),
    Fault.GONE: _error(410),
    Fault.NO_CONTENT: lambda _asked: Answer(204),
    Fault.CONFLICT: _error(409),
    Fault.NO_CX_AI: _error(404),
    Fault.REDIRECT: _redirect(ELSEWHERE),
    Fault.REDIRECT_TO_HOST: _redirect("http://localhost:{port}" + ELSEWHERE),
    Fault.RETRY_AFTER_SECONDS: _retry_after("1"),
    Fault.RETRY_AFTER_DATE: _retry_after_date,
    Fault.RETRY_AFTER_PAST: _retry_after(format_datetime(_LONG_AGO, usegmt=True)),
    Fault.RETRY_AFTER_HUGE: _retry_after("9467280000"),
    Fault.RETRY_AFTER_GARBAGE: _retry_after("soon, -1e999"),
    Fault.ERROR_BODY_HUGE: _huge_body,
    Fault.ECHO_TOKEN: _echo_token,
    **{fault: _with_body(spoil) for fault, spoil in BODIES.items()},
    **{fault: _with_coding(spoil) for fault, spoil in CODINGS.items()},
    **dict.fromkeys(SCRIPTS, _good),
    Fault.ERROR_BODY_CUT: _retry_after("1"),
}


def faulty(fault: Fault, asked: Asked) -> Answer:
    """Return the answer with this fault; those of the wire are good until they are sent."""
    return replace(REPLIES[fault](asked), fault=fault)
