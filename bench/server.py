"""The API as the benchmarks need it: ready bodies, a fixed latency, and the times of arrival.

`python -m bench.server` serves on a free port of 127.0.0.1 and prints it. For each byte on its
standard input it writes when the requests since the last one arrived: how many (8 bytes), then
their times in seconds (8 bytes each). It ends when its standard input does.
"""

import argparse
import asyncio
import gzip
import os
import re
import sys
from array import array
from collections.abc import Callable, MutableSequence
from functools import cache

import brotli
import uvloop
from support.arrivals import Answer, listening
from support.certificate import server_context

from bench.corpus import body

_CODINGS: dict[bytes, Callable[[bytes], bytes]] = {
    b"br": lambda raw: brotli.compress(raw, quality=5),
    b"gzip": lambda raw: gzip.compress(raw, compresslevel=6),
    b"": bytes,
}
"""What comes first is preferred."""

_ID_ENDS = len(b"GET /v1/interactions/") + 36
_ACCEPTED = re.compile(rb"\r\naccept-encoding:([^\r]*)", re.IGNORECASE)
_TOKEN = re.compile(rb"\r\nx-api-token:", re.IGNORECASE)
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@cache  # 64 bodies stand for 256 endings of IDs
def _response(coding: bytes, text: bytes) -> bytes:
    sent = _CODINGS[coding](text)
    encoded = b"Content-Encoding: %b\r\n" % coding if coding else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%b" % encoded
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(sent), sent)


def answering(delay_s: float, arrivals: MutableSequence[float], *, short: bool) -> Answer:
    """Return what notes the arrival of a request, and answers it `delay_s` later."""
    loop = asyncio.get_running_loop()
    raw = {f"{number:02x}".encode(): body(f"{number:02x}", short=short) for number in range(256)}

    @cache  # all requests of a client are the same after the ID
    def responses(rest: bytes) -> dict[bytes, bytes]:
        if not rest.startswith(b"/ai HTTP/1.1\r\n") or _TOKEN.search(rest) is None:
            return {}
        accepted = _ACCEPTED.search(rest)
        coding = next(each for each in _CODINGS if each in (accepted[1] if accepted else b""))
        return {ending: _response(coding, text) for ending, text in raw.items()}

    def answer(at: float, request: bytes, send: Callable[[bytes], object]) -> None:
        arrivals.append(at)
        found = responses(request[_ID_ENDS:]).get(request[_ID_ENDS - 2 : _ID_ENDS], _NOT_FOUND)
        loop.call_later(delay_s, send, found) if delay_s else send(found)

    return answer


async def serve(given: argparse.Namespace) -> None:
    """Serve as the command line says, until standard input ends."""
    loop, stop, arrivals = asyncio.get_running_loop(), asyncio.Event(), array("d")

    def report() -> None:
        if os.read(0, 1):
            sys.stdout.buffer.write(array("q", [len(arrivals)]).tobytes() + arrivals.tobytes())
            sys.stdout.buffer.flush()
            del arrivals[:]
        else:
            stop.set()

    answer = answering(given.delay, arrivals, short=given.short)
    with listening(loop, answer, server_context() if given.tls else None) as port:
        print(port, flush=True)
        loop.add_reader(0, report)
        await stop.wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m bench.server")
    arguments.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    arguments.add_argument("--tls", action="store_true")
    arguments.add_argument("--short", action="store_true")
    uvloop.run(serve(arguments.parse_args()))
