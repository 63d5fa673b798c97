"""When requests arrived: a listener that asks the kernel, and what the times show.

A server counts what it reads when it gets to read it: on a busy machine that is milliseconds late,
and two requests that arrived in different seconds are counted in one. Linux stamps each segment as
it arrives (socket(7), SO_TIMESTAMPNS).
"""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python's socket has no name for it
_STAMP = struct.Struct("qq")  # seconds since the epoch, and nanoseconds
STAMP_ROOM = socket.CMSG_SPACE(_STAMP.size)
"""The room for ancillary data that `recvmsg` needs for a stamp."""

_READ_BYTES = 1 << 16
_SEND_BYTES = 1 << 17  # a whole response: then one call sends it

Answer = Callable[[float, bytes, Callable[[bytes], object]], None]
"""Takes when a request arrived, in seconds since the epoch, the request, and the way back."""


@contextmanager
def listening(
    loop: asyncio.AbstractEventLoop, answer: Answer, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Answer on a free port of 127.0.0.1, and yield it. A request has to come in one piece.

    With TLS, a request has arrived when it is read: its segments are not seen.
    """

    def accept() -> None:
        connection, _ = listener.accept()
        if tls is not None:
            connection = tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        connection.settimeout(0)
        loop.add_reader(connection, read, connection)

    def read(connection: socket.socket) -> None:
        stamps: Sequence[tuple[int, int, bytes]] = ()
        try:
            if tls is None:
                data, stamps, _, _ = connection.recvmsg(_READ_BYTES, STAMP_ROOM)
            else:
                data = connection.recv(_READ_BYTES)
        except ssl.SSLWantReadError:  # in the middle of a handshake, which reading does
            return
        except OSError:  # the client has given up
            data = b""
        if data:
            answer(seconds_of(stamps), data, connection.sendall)
        else:
            loop.remove_reader(connection)
            connection.close()

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.settimeout(0)
        stamp_arrivals(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        loop.add_reader(listener, accept)
        yield listener.getsockname()[1]
        loop.remove_reader(listener)


def stamp_arrivals(listener: socket.socket) -> None:
    """Ask the kernel to stamp what arrives on the connections that this listener accepts."""
    listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def seconds_of(stamps: Sequence[tuple[int, int, bytes]]) -> float:
    """Return the time of the stamp that came with data, in seconds since the epoch."""
    if not stamps:  # The kernel begins a moment after it was asked to: the first may have none.
        return time.time()
    seconds, nanoseconds = _STAMP.unpack(stamps[0][2])
    return float(seconds) + float(nanoseconds) * 1e-9


def pace(times: Sequence[float], together: int) -> float:
    """Return the requests per second of a client that sends `together` requests at once.

    Counted from the first request to the first of the last ones that came together, so that
    neither the start of the client nor its last wait counts.
    """
    return (len(times) - together) / (times[-together] - times[0])


def most_within(times: Sequence[float], window_s: float) -> int:
    """Return the most requests that arrived in any stretch of `window_s`, its end excluded."""
    most = first = 0
    for last, now in enumerate(times):
        while now - times[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most
