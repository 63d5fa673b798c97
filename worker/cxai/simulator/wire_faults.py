"""Faults of HTTP itself, which no HTTP library would send: bytes written to the connection."""

import asyncio
from collections.abc import Callable

from cxai.simulator.exchange import Response, Script

DRIP_S = 0.2
"""Seconds between two bytes: less than any read timeout."""

Send = Callable[[Response], Script]

_ENDLESS_BYTES = 20_000


def raw(sent: bytes) -> Send:
    """Send these bytes in place of the response."""
    return lambda _response: iter((sent,))


def with_head(
    line: str = "HTTP/1.1 {status} OK",
    headers: str = "",
    length: Callable[[int], int] = lambda length: length,
) -> Send:
    """Send the response with another status line, more headers, or another Content-Length."""

    def send(response: Response) -> Script:
        framing = f"{headers}Content-Length: {length(len(response.body))}"
        yield _head(response, framing, line) + response.body

    return send


def drip_headers(response: Response) -> Script:
    """Send a header without an end, a byte at a time."""
    yield f"HTTP/1.1 {response.status} OK\r\nX-Drip: ".encode()
    for _ in range(_ENDLESS_BYTES):
        yield DRIP_S
        yield b"."


def drip_body(response: Response) -> Script:
    """Send the body a byte at a time."""
    yield _head(response, f"Content-Length: {len(response.body)}")
    for byte in response.body:
        yield DRIP_S
        yield bytes([byte])


def bad_chunk(response: Response) -> Script:
    """Send a chunk whose size is not a number."""
    yield _chunked(response, response.body[:500]) + b"many\r\n" + response.body[500:]


def no_last_chunk(response: Response) -> Script:
    """Leave out the chunk that ends the body."""
    yield _chunked(response, response.body)


async def play(script: Script, transport: asyncio.Transport) -> None:
    """Send a script until the client disconnects, and close the connection."""
    for step in script:
        if transport.is_closing():
            return
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            transport.write(step)
    transport.close()


def _head(response: Response, framing: str, line: str = "HTTP/1.1 {status} OK") -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    return f"{line.format(status=response.status)}\r\n{headers}{framing}\r\n\r\n".encode()


def _chunked(response: Response, chunk: bytes) -> bytes:
    return _head(response, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n" % (len(chunk), chunk)
