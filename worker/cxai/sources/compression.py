"""Undoes compression while it is read, in memory that does not grow with the expansion.

Another coding is a line in CODINGS.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from cxai.sources.chunks import CHUNK_BYTES, lead
from cxai.zstd import zstd

# RFC 8878, 3.1.1 and 3.1.2: a frame, or one to be skipped, with which pzstd begins.
_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes((kind,)) + b"\x2a\x4d\x18" for kind in range(0x50, 0x60)))

# 128 MiB, which is what the zstd command accepts by default.
_ZSTD_WINDOW_LOG = 27

# Zeros pad to a block, as on tapes; a line end is what an editor or a shell may add.
_PADDING = b"\0 \t\r\n"


class DamagedError(Exception):
    """Compressed data can't be undone any further; the message says why."""


class _Member(Protocol):
    """One gzip member or zstd frame being undone; `unused_data` is what follows its end."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _GzipMember:
    """Keeps what did not fit into `max_length` for the next call, as zstd does by itself."""

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


def _zstd_frame() -> _Member:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    )


def _why_no_gzip(error: Exception) -> str:
    return f"its gzip data is damaged ({error})"


def _why_no_zstd(error: Exception) -> str:
    if "too much memory" in str(error):  # the library has no other sign of it
        return (
            f"its zstd window is larger than {1 << _ZSTD_WINDOW_LOG >> 20} MiB; compress it"
            " again without --long or --ultra, or undo it: zstd -dc --long=31 FILE"
        )
    return f"its zstd data is damaged ({error})"


@dataclass(frozen=True, slots=True)
class Coding:
    """One way to compress: data that begins with one of `marks`, in files named `*ending`.

    `begin` returns what undoes the next member; that raises `error` for damaged data, and `why`
    puts it into words.
    """

    name: str
    ending: str
    marks: tuple[bytes, ...]
    begin: Callable[[], _Member]
    error: type[Exception]
    why: Callable[[Exception], str]


CODINGS = (
    Coding("gzip", ".gz", (b"\x1f\x8b",), _GzipMember, zlib.error, _why_no_gzip),
    Coding("zstd", ".zst", _ZSTD, _zstd_frame, zstd.ZstdError, _why_no_zstd),
)

_MARKS = tuple(mark for coding in CODINGS for mark in coding.marks)


def is_compressed(path: str) -> bool:
    """Whether a file is compressed by its name."""
    return path.lower().endswith(tuple(coding.ending for coding in CODINGS))


def decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content of `chunks` in pieces of CHUNK_BYTES at most.

    What the content begins with decides, not a name: gzip (also of several members), zstd (also
    of several frames) or neither, which passes as it is. Raises DamagedError after the pieces
    before the damage or the early end; a piece whose own check fails is not among them.
    """
    head = lead(chunks, _MARKS)
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
        raise DamagedError(coding.why(error)) from error
    if member:
        raise DamagedError(f"its {coding.name} data ends too early")
