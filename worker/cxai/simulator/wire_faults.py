"""Faults of HTTP itself, which no HTTP library would send: written to the connection as bytes."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

from cxai.simulator.answer import Answer
from cxai.simulator.fault import Fault

DRIP_S = 0.2
"""Seconds between two bytes that drip: less than any timeout for reading."""

_ENDLESS_BYTES = 20_000
_HUGE_BYTES = 100_000
_FLOOD_RESPONSES = 10_000

Script = Iterator[bytes | float]
"""Bytes to send and seconds to pause; the connection is closed at the end."""


def _head(answer: Answer, framing: str) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.all_headers().items())
    return f"HTTP/1.1 {answer.status} OK\r\n{headers}{framing}\r\n\r\n".encode()


def _of_length(answer: Answer, length: int) -> bytes:
    return _head(answer, f"Content-Length: {length}")


def _chunked(answer: Answer, *chunks: bytes) -> bytes:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return _head(answer, "Transfer-Encoding: chunked") + framed


def _no_reply(_answer: Answer) -> Script:
    yield from ()


def _drip_headers(answer: Answer) -> Script:
    yield f"HTTP/1.1 {answer.status} OK\r\nX-Drip: ".encode()
    for _ in range(_ENDLESS_BYTES):
        yield DRIP_S
        yield b"."


def _drip_body(answer: Answer) -> Script:
    yield _of_length(answer, len(answer.body))
    for byte in answer.body:
        yield DRIP_S
        yield bytes([byte])


def _length_too_long(answer: Answer) -> Script:
    yield _of_length(answer, len(answer.body) + 1_000) + answer.body


def _length_too_short(answer: Answer) -> Script:
    yield _of_length(answer, len(answer.body) // 2) + answer.body


def _bad_chunk(answer: Answer) -> Script:
    yield _chunked(answer, answer.body[:500]) + b"many\r\n" + answer.body[500:]


def _no_last_chunk(answer: Answer) -> Script:
    yield _chunked(answer, answer.body)


def _bad_status_line(answer: Answer) -> Script:
    whole = _of_length(answer, len(answer.body)) + answer.body
    yield whole.replace(b"HTTP/1.1 200 OK", b"HTTP/one 2OO", 1)


def _huge_header(answer: Answer) -> Script:
    huge = f"X-Huge: {'.' * _HUGE_BYTES}\r\nContent-Length: {len(answer.body)}"
    yield _head(answer, huge) + answer.body


def _early_hints(answer: Answer) -> Script:
    yield b"HTTP/1.1 103 Early Hints\r\n\r\n" + _of_length(answer, len(answer.body)) + answer.body


def _flood(_answer: Answer) -> Script:
    yield b"HTTP/1.1 102 Processing\r\n\r\n" * _FLOOD_RESPONSES


SCRIPTS: Mapping[Fault, Callable[[Answer], Script]] = {
    Fault.NO_REPLY: _no_reply,
    Fault.DRIP_HEADERS: _drip_headers,
    Fault.DRIP_BODY: _drip_body,
    Fault.LENGTH_TOO_LONG: _length_too_long,
    Fault.LENGTH_TOO_SHORT: _length_too_short,
    Fault.BAD_CHUNK: _bad_chunk,
    Fault.NO_LAST_CHUNK: _no_last_chunk,
    Fault.BAD_STATUS_LINE: _bad_status_line,
    Fault.HUGE_HEADER: _huge_header,
    Fault.ERROR_BODY_CUT: _length_too_long,
    Fault.EARLY_HINTS: _early_hints,
    Fault.FLOOD: _flood,
}
"""How a good answer is sent with this fault."""


async def play(script: Script, transport: asyncio.Transport) -> None:
    """Send a script, as long as there is somebody to send it to, and close the connection."""
    for step in script:
        if transport.is_closing():
            return
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            transport.write(step)
    transport.close()
