"""The API as a server that knows when the kernel had each request, however late it is read."""

import asyncio
from contextlib import contextmanager

from support.arrivals import listening, most_within

from cxai.simulator.bodies import result_json


class StampedServer:
    """An async context manager that answers every request with one result.

    `arrivals` has the time of each request in seconds: a busy machine can't make two requests of
    different seconds stand in one, as it can where they are counted when they are read.
    """

    def __init__(self):
        body = result_json(1, 0)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self._response = f"{head}\r\n\r\n".encode() + body
        self.arrivals = []

    @property
    def max_per_second(self):
        return most_within(sorted(self.arrivals), 1.0)

    async def __aenter__(self):
        self._open = self._listening(asyncio.get_running_loop())
        self.base_url = f"http://127.0.0.1:{self._open.__enter__()}"
        return self

    async def __aexit__(self, *exc):
        self._open.__exit__(None, None, None)

    @contextmanager
    def _listening(self, loop):
        with listening(loop, self._answer) as port:
            yield port

    def _answer(self, at, request, send):
        self.arrivals += [at] * request.count(b"GET /")
        send(self._response)
