"""Content codings gone wrong: each fault as a function of a good result's JSON."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # it brings no types

from cxai.simulator.fault import Fault

Coded = tuple[bytes, str]
"""A body as sent, and what Content-Encoding says of it."""

_BOMB_BYTES = 200_000_000
_PIECE = b"0" * 1_000_000
_RAW_DEFLATE, _GZIP = -15, 31  # zlib's names for them ("wbits")


def _gzipped(body: bytes) -> bytes:
    return gzip.compress(body, compresslevel=6, mtime=0)


def _multi_member(body: bytes, _draw: float) -> Coded:
    third = len(body) // 3
    pieces = body[:third], body[third : 2 * third], body[2 * third :]
    return b"".join(map(_gzipped, pieces)), "gzip"


def _raw_deflate(body: bytes, _draw: float) -> Coded:
    stream = zlib.compressobj(wbits=_RAW_DEFLATE)
    return stream.compress(body) + stream.flush(), "deflate"


def _bit_flip(body: bytes, draw: float) -> Coded:
    """Flip one bit of what is compressed: what stands in the header may well not matter."""
    coded = bytearray(_gzipped(body))
    start, end = 10, len(coded) - 8
    bit = int(draw * 8 * (end - start))
    coded[start + bit // 8] ^= 1 << bit % 8
    return bytes(coded), "gzip"


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Br:
    def __init__(self) -> None:
        self._stream = brotli.Compressor(quality=5)

    def compress(self, data: bytes, /) -> bytes:
        compressed: bytes = self._stream.process(data)
        return compressed

    def flush(self) -> bytes:
        rest: bytes = self._stream.finish()
        return rest


@lru_cache(maxsize=2)
def _bomb(coding: str) -> bytes:
    """Return a result with one very long text, compressed a piece at a time."""
    stream: _Compressor = _Br() if coding == "br" else zlib.compressobj(wbits=_GZIP)
    pieces = [stream.compress(b'{"allParticipants":null,"zeros":"')]
    pieces += [stream.compress(_PIECE) for _ in range(_BOMB_BYTES // len(_PIECE))]
    return b"".join([*pieces, stream.compress(b'"}'), stream.flush()])


CODINGS: Mapping[Fault, Callable[[bytes, float], Coded]] = {
    Fault.BOMB_GZIP: lambda _body, _draw: (_bomb("gzip"), "gzip"),
    Fault.BOMB_BR: lambda _body, _draw: (_bomb("br"), "br"),
    Fault.LYING_ENCODING: lambda body, _draw: (_gzipped(body), "br"),
    Fault.UNDONE_ENCODING: lambda body, _draw: (body, "gzip"),
    Fault.DOUBLE_ENCODING: lambda body, _draw: (brotli.compress(_gzipped(body)), "gzip, br"),
    Fault.UNKNOWN_ENCODING: lambda body, _draw: (body, "x-simulated"),
    Fault.MULTI_MEMBER: _multi_member,
    Fault.RAW_DEFLATE: _raw_deflate,
    Fault.BIT_FLIP: _bit_flip,
}
"""The second argument, in [0, 1), chooses what is damaged."""
