"""Compression of parts: each commit is one complete gzip member or zstd frame.

So a part is valid at every committed offset, and any reader of .gz or .zst can read it.
"""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cxai.output.compression import Compression
from cxai.zstd import zstd

_GZIP_LEVEL = 6

OPEN_UNPACKED: Mapping[Compression, Callable[[Any], Any]] = {
    Compression.GZIP: gzip.open,
    Compression.ZSTD: zstd.open,
}
"""Opens a compressed file for reading, with any number of members or frames."""

UNPACK_ERRORS = (OSError, EOFError, zlib.error, zstd.ZstdError)
"""What reading and decompressing a damaged file may raise."""

COMPRESS: Mapping[Compression, Callable[[Sequence[bytes]], Sequence[bytes]]] = {
    Compression.NONE: lambda chunks: chunks,
    Compression.GZIP: lambda chunks: [gzip.compress(b"".join(chunks), _GZIP_LEVEL, mtime=0)],
    Compression.ZSTD: lambda chunks: [zstd.compress(b"".join(chunks))],
}
