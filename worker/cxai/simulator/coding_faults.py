"""Content codings gone wrong: functions from the JSON of a good result to what is sent."""

import zlib
from collections.abc import Callable
from functools import cache

import brotli  # type: ignore[import-untyped]  # it brings no types

from cxai.simulator.coding import encode

Coded = tuple[bytes, str]
"""A body as sent, and its Content-Encoding."""

CorruptCoding = Callable[[bytes, float], Coded]
"""Takes a number in [0, 1) that chooses what is corrupted."""

_BOMB_BYTES = 200_000_000
_PIECE = b"0" * 1_000_000
_RAW_DEFLATE, _GZIP = -15, 31  # zlib's names for them ("wbits")
_GZIP_HEAD_BYTES, _GZIP_TAIL_BYTES = 10, 8


def mislabelled(actual: str, declared: str) -> CorruptCoding:
    """Encode with one coding, and declare another."""
    return lambda body, _draw: (encode(body, actual), declared)


def double_encoded(body: bytes, _draw: float) -> Coded:
    """Encode with gzip, then with br, and declare both."""
    return encode(encode(body, "gzip"), "br"), "gzip, br"


def multi_member(body: bytes, _draw: float) -> Coded:
    """Encode each third as a separate gzip member."""
    third = len(body) // 3
    pieces = body[:third], body[third : 2 * third], body[2 * third :]
    return b"".join(encode(piece, "gzip") for piece in pieces), "gzip"


def raw_deflate(body: bytes, _draw: float) -> Coded:
    """Leave out the zlib wrapper that `deflate` stands for."""
    stream = zlib.compressobj(wbits=_RAW_DEFLATE)
    return stream.compress(body) + stream.flush(), "deflate"


def bit_flip(body: bytes, draw: float) -> Coded:
    """Flip one bit of the compressed data; some bits of the gzip header don't matter."""
    coded = bytearray(encode(body, "gzip"))
    bit = int(draw * 8 * (len(coded) - _GZIP_HEAD_BYTES - _GZIP_TAIL_BYTES))
    coded[_GZIP_HEAD_BYTES + bit // 8] ^= 1 << bit % 8
    return bytes(coded), "gzip"


def bomb(coding: str) -> CorruptCoding:
    """Send a result with one very long text."""
    return lambda _body, _draw: (_bomb(coding), coding)


@cache
def _bomb(coding: str) -> bytes:
    """Compress the text a piece at a time."""
    if coding == "br":
        br = brotli.Compressor(quality=5)
        compress, finish = br.process, br.finish
    else:
        gzip = zlib.compressobj(wbits=_GZIP)
        compress, finish = gzip.compress, gzip.flush
    pieces = [compress(b'{"allParticipants":null,"zeros":"')]
    pieces += [compress(_PIECE) for _ in range(_BOMB_BYTES // len(_PIECE))]
    return b"".join([*pieces, compress(b'"}'), finish()])
