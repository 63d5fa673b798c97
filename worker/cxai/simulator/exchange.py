"""One request and its response, as the functions that build a response see them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from cxai.simulator.bodies import error_json
from cxai.simulator.coding import IDENTITY

Script = Iterator[bytes | float]
"""Bytes to send and seconds to pause; the connection is closed at the end."""

_NO_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What the response to a request for a result depends on.

    `seed` and `variant` choose the result, `draw` (in [0, 1)) what a fault corrupts in it. `coding`
    is that of a good response, `port` the simulator's own, `token` what the client sent.
    """

    seed: int
    variant: int
    coding: str
    draw: float
    port: int
    at: datetime
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `body` is as sent. A `script` is sent in place of well-formed HTTP."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    fault: str | None = None
    script: Script | None = None

    @property
    def coding(self) -> str:
        """The content coding that the headers declare."""
        return self.headers.get("Content-Encoding", IDENTITY)


def found(body: bytes, coding: str = IDENTITY, content_type: str = "application/json") -> Response:
    """Return a 200. `coding` is what it declares."""
    typed = {"Content-Type": f"{content_type}; charset=utf-8"} if body else {}
    coded = {} if coding == IDENTITY else {"Content-Encoding": coding}
    return Response(200, body, typed | coded)


def error(status: int, message: str | None = None, *, retry_after: str | None = None) -> Response:
    """Return an error with a JSON body: `message` or the usual phrase. 204 and 404 have none."""
    if status in _NO_BODY:
        return Response(status)
    body = error_json(message or HTTPStatus(status).phrase)
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Response(status, body, {**found(body).headers, **headers})
