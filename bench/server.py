"""Our own server: prebuilt responses, an optional delay before each, and a log of arrivals.

`python -m bench.server CORPUS LOG` listens on a free port of 127.0.0.1, prints it and a line feed,
and serves until SIGTERM. Then it writes to LOG when each request arrived, as doubles, in seconds:
when it was read or, with `--stamped`, when the kernel had it. It does nothing that a response
doesn't need, so that what is measured is the client: 20,000 responses/s and more on one core.
"""

import argparse
import asyncio
import re
import signal
import time
from array import array
from collections.abc import Callable, Mapping, MutableSequence
from pathlib import Path

import uvloop

from bench import stamps

CODINGS = {b"br": ".br", b"gzip": ".gz", b"": ""}
"""By content coding, the end of the file's name; what comes first is preferred."""

_REQUEST = re.compile(rb"get /v1/interactions/[0-9a-f-]+([0-9a-f]{2})/ai http/1\.1\r\n")
_ACCEPTS = re.compile(rb"\r\naccept-encoding:([^\r]*)")
_TOKEN = b"\r\nx-api-token:"
_END = b"\r\n\r\n"

_UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

Responses = Mapping[tuple[bytes, bytes], bytes]
"""By body and content coding, the whole response."""


def responses(corpus: Path) -> Responses:
    """Return all responses of a corpus that bench.corpus has written."""
    return {
        (file.stem.encode(), coding): _response(Path(f"{file}{suffix}").read_bytes(), coding)
        for file in corpus.glob("*.json")
        for coding, suffix in CODINGS.items()
    }


def _response(body: bytes, coding: bytes) -> bytes:
    encoded = b"Content-Encoding: %b\r\n" % coding if coding else b""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
        % (encoded, len(body), body)
    )


class Connection(asyncio.Protocol):
    """One client's connection; open until the client closes it.

    `arrived` is called for each request as it comes in; its response leaves `delay_s` later.
    """

    def __init__(self, ready: Responses, delay_s: float, arrived: Callable[[], None]) -> None:
        self._ready = ready
        self._delay_s = delay_s
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._unread = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        *requests, self._unread = (self._unread + data).split(_END)
        for request in requests:
            self._arrived()
            response = response_to(request.lower(), self._ready)
            if self._delay_s:
                self._loop.call_later(self._delay_s, self._transport.write, response)
            else:
                self._transport.write(response)


def response_to(request: bytes, ready: Responses) -> bytes:
    """Return what a whole request, in lower case, is answered."""
    asked = _REQUEST.match(request)
    if asked is None:
        return _NOT_FOUND
    if _TOKEN not in request:
        return _UNAUTHORIZED
    accepts = _ACCEPTS.search(request)
    accepted = accepts[1] if accepts else b""
    coding = next(coding for coding in CODINGS if coding in accepted)
    return ready[asked[1], coding]


async def serve(ready: Responses, delay_s: float, arrivals: MutableSequence[float]) -> None:
    """Serve until SIGTERM."""

    def arrived() -> None:
        arrivals.append(time.monotonic())

    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: Connection(ready, delay_s, arrived), "127.0.0.1", 0, backlog=1024
    )
    await _until_told(listener.sockets[0].getsockname()[1])


async def serve_stamped(ready: Responses, delay_s: float, arrivals: MutableSequence[float]) -> None:
    """Serve until SIGTERM; what counts is when the kernel had a request."""
    loop = asyncio.get_running_loop()

    def answer(at: float, request: bytes, send: Callable[[bytes], object]) -> None:
        arrivals.append(at)
        loop.call_later(delay_s, send, response_to(request.lower(), ready))

    with stamps.listening(loop, answer) as port:
        await _until_told(port)


async def _until_told(port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(port, flush=True)
    await stop.wait()


def main() -> None:
    """Serve what the command line names."""
    arguments = argparse.ArgumentParser(prog="python -m bench.server")
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("log", type=Path)
    arguments.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    arguments.add_argument("--stamped", action="store_true")
    given = arguments.parse_args()
    arrivals = array("d")
    serving = serve_stamped if given.stamped else serve
    uvloop.run(serving(responses(given.corpus), given.delay, arrivals))
    given.log.write_bytes(arrivals.tobytes())


if __name__ == "__main__":
    main()
