"""Lines of an object, decompressed as its bytes arrive."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from cxai.output.compression import Compression
from cxai.zstd import zstd

_PIECE = 1 << 20
"""The most bytes that are unpacked at a time."""

UNPACKING_ERRORS = (zlib.error, zstd.ZstdError, EOFError)
"""The errors of content that can't be decompressed."""


class _Unpacker(Protocol):
    def unpack(self, data: bytes) -> Iterator[bytes]: ...

    @property
    def is_whole(self) -> bool: ...


class _Plain:
    is_whole = True

    def unpack(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Gzip:
    def __init__(self) -> None:
        self._member = self._begin()
        self.is_whole = True  # between two members, as at the beginning

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while data:  # the decoder holds some output back until the trailer
            self.is_whole = False
            yield self._member.decompress(data, _PIECE)
            data = self._member.unconsumed_tail
            if self._member.eof:
                data, self.is_whole = self._member.unused_data, True
                self._member = self._begin()

    @staticmethod
    def _begin() -> "zlib._Decompress":
        return zlib.decompressobj(16 + zlib.MAX_WBITS)


class _Zstd:
    def __init__(self) -> None:
        self._frame = zstd.ZstdDecompressor()
        self.is_whole = True

    def unpack(self, data: bytes) -> Iterator[bytes]:
        while data or not self.is_whole:
            self.is_whole = False
            yield self._frame.decompress(data, _PIECE)
            if self._frame.eof:
                data, self.is_whole = self._frame.unused_data, True
                self._frame = zstd.ZstdDecompressor()
            elif self._frame.needs_input:
                return
            else:
                data = b""


_UNPACKERS: Mapping[Compression, Callable[[], _Unpacker]] = {
    Compression.NONE: _Plain,
    Compression.GZIP: _Gzip,
    Compression.ZSTD: _Zstd,
}


class LineReader:
    """Turns the content of an object, chunk by chunk, into lines.

    Raises one of UNPACKING_ERRORS where it can't be decompressed.
    """

    def __init__(self, compression: Compression) -> None:
        self._unpacker = _UNPACKERS[compression]()
        self._begun: list[bytes] = []

    def lines(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that end in this chunk, without their ends."""
        for piece in self._unpacker.unpack(chunk):
            first, *others = piece.split(b"\n")
            self._begun.append(first)
            for other in others:
                yield b"".join(self._begun)
                self._begun = [other]

    def rest(self) -> Iterator[bytes]:
        """Yield the last line, if it has no end. Raises EOFError if the content is cut off."""
        if not self._unpacker.is_whole:
            raise EOFError("it is cut off")
        if rest := b"".join(self._begun):
            yield rest
