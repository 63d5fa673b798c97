"""Decompresses an input while it is read, in memory that does not grow with the ratio.

A new coding is a line in CODINGS.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from cxai.sources.chunks import CHUNK_BYTES, beginning_of
from cxai.zstd import zstd

# RFC 8878, 3.1.1 and 3.1.2: a frame, or a skippable frame, which pzstd writes first.
_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes((kind,)) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60)))

# 128 MiB, which the zstd command accepts by default.
_ZSTD_WINDOW_LOG = 27

# Tapes pad a block with zeros; an editor or a shell may add a line break.
_PADDING = b"\0 \t\r\n"


class DamagedError(Exception):
    """Compressed data can't be decompressed any further; the message is the reason."""


class _GzipMember:
    """Keeps what exceeds `max_length` for the next call, as the zstd decompressor does."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


def _zstd_frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    )


_Member = _GzipMember | zstd.ZstdDecompressor


@dataclass(frozen=True, slots=True)
class Coding:
    """One compression format: data that starts with one of `marks`, in files named `*ending`.

    `begin` returns the decompressor of the next member, which raises `error` for damaged data.
    """

    name: str
    ending: str
    marks: tuple[bytes, ...]
    begin: Callable[[], _Member]
    error: type[Exception]

    def damage(self, error: Exception) -> str:
        """Return the reason for `error`."""
        if "too much memory" in str(error):  # zstd has no error code for it
            return (
                f"its zstd window is larger than {1 << _ZSTD_WINDOW_LOG >> 20} MiB; compress it"
                " again without --long or --ultra, or decompress it: zstd -dc --long=31 FILE"
            )
        return f"its {self.name} data is damaged ({error})"


CODINGS = (
    Coding("gzip", ".gz", (b"\x1f\x8b",), _GzipMember, zlib.error),
    Coding("zstd", ".zst", _ZSTD, _zstd_frame, zstd.ZstdError),
)

_MARKS = tuple(mark for coding in CODINGS for mark in coding.marks)


def is_compressed(path: str) -> bool:
    """Whether the name of a file has the ending of a compressed one."""
    return path.lower().endswith(tuple(coding.ending for coding in CODINGS))


def decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the decompressed `chunks` in pieces of CHUNK_BYTES at most.

    The first bytes decide, not the name; uncompressed data passes unchanged. Raises DamagedError
    after the intact pieces if the data is damaged or truncated.
    """
    head = beginning_of(chunks, _MARKS)
    whole = chain((head,), chunks)
    coding = next((one for one in CODINGS if head.startswith(one.marks)), None)
    yield from whole if coding is None else _unpacked(whole, coding)


def _unpacked(chunks: Iterator[bytes], coding: Coding) -> Iterator[bytes]:
    member: _Member | None = None
    try:
        for chunk in chunks:
            data = chunk
            while member or (data := data.lstrip(_PADDING)):
                member = member or coding.begin()
                piece = member.decompress(data, CHUNK_BYTES)
                data = b""
                if piece:
                    yield piece
                if member.eof:
                    data, member = member.unused_data, None
                elif len(piece) < CHUNK_BYTES:
                    break
    except coding.error as error:
        raise DamagedError(coding.damage(error)) from error
    if member:
        raise DamagedError(f"its {coding.name} data is truncated")
