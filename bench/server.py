"""The API as the benchmarks need it: ready bodies, a fixed latency, and the times of arrival.

`python -m bench.server` serves on a free port of 127.0.0.1 and prints it. For each byte on its
standard input it prints when the requests since the last one arrived: a list of seconds in JSON. It
ends when its standard input does.
"""

import argparse
import asyncio
import gzip
import json
import os
import re
from collections.abc import Callable
from functools import cache

import brotli
import uvloop
from support.arrivals import Answer, listening
from support.certificate import server_context

from bench.corpus import body

_ASKS = re.compile(rb"(?is)GET /v1/interactions/.{34}(..)/ai HTTP/1.1\r\n(?:.*\r\n)?x-api-token:")
_TAKES_BROTLI = re.compile(rb"(?i)\r\naccept-encoding:[^\r]*\bbr\b")
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@cache  # 64 bodies stand for 256 endings of IDs
def _response(coding: str, text: bytes) -> bytes:
    sent = brotli.compress(text, quality=5) if coding == "br" else gzip.compress(text, 6)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n"
    return f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent


def answering(delay_s: float, arrivals: list[float], *, short: bool) -> Answer:
    """Return what notes the arrival of a request, and answers it `delay_s` later."""
    loop, endings = asyncio.get_running_loop(), [f"{number:02x}" for number in range(256)]
    responses = {
        (coding, ending.encode()): _response(coding, body(ending, short=short))
        for coding in ("br", "gzip")
        for ending in endings
    }

    def answer(at: float, request: bytes, send: Callable[[bytes], object]) -> None:
        arrivals.append(at)
        coding = "br" if _TAKES_BROTLI.search(request) else "gzip"
        asked = _ASKS.match(request)
        found = responses.get((coding, asked and asked[1]), _NOT_FOUND)
        loop.call_later(delay_s, send, found) if delay_s else send(found)

    return answer


async def serve(given: argparse.Namespace) -> None:
    """Serve as the command line says, until standard input ends."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    arrivals: list[float] = []

    def report() -> None:
        if os.read(0, 1):
            print(json.dumps(arrivals), flush=True)
            arrivals.clear()
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
