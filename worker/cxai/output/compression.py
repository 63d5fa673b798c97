"""The choice of how parts are compressed. How it is done: codecs.py."""

from collections.abc import Mapping
from enum import StrEnum


class Compression(StrEnum):
    """How parts are compressed on disk."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


SUFFIX: Mapping[Compression, str] = {
    Compression.NONE: "",
    Compression.GZIP: ".gz",
    Compression.ZSTD: ".zst",
}
