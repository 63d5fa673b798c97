"""Reads the parts of an export and checks their bytes against the ledger."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from cxai.core.figures import counted
from cxai.inspect.verify.damage import differing_byte
from cxai.inspect.verify.findings import Advice, Findings
from cxai.ledger.port import Database
from cxai.output.codecs import UNPACK_ERRORS
from cxai.output.compression import Compression
from cxai.output.part_state import PartState, part_name
from cxai.output.parts import as_named
from cxai.output.private import open_for_reading
from cxai.zstd import zstd

_UNPACK: Mapping[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.decompress,
    Compression.ZSTD: zstd.decompress,
}


def read_parts(ledger: Database, directory: Path, compression: Compression) -> dict[str, PartState]:
    """Return the parts that the ledger has, by the names that their files have now."""
    named = (as_named(directory, part, compression) or part for part in ledger.parts())
    return {part_name(part, compression): part for part in named}


def has_file(part: PartState) -> bool:
    """Whether the part must have a file: an open part gets one with its first line."""
    return not part.is_released and (part.sealed or part.bytes > 0)


def lines_of(
    ledger: Database, findings: Findings, name: str, part: PartState, compression: Compression
) -> Iterator[bytes]:
    """Yield the lines of a part, reading the extent of one commit at a time."""
    path = findings.directory / name
    try:
        file = open_for_reading(path)
    except OSError as error:
        wanted = counted(part.records, "lines")
        advice = Advice.MISSING if isinstance(error, FileNotFoundError) else Advice.RESTORE
        findings.add(f"{name}: {error.strerror}; it should have {wanted}.", advice)
        return
    findings.parts += 1
    lines = 0
    with file:
        size = os.fstat(file.fileno()).st_size
        if size < part.bytes or (part.sealed and size != part.bytes):
            findings.add(f"{name}: {size:,} bytes, but the ledger has {part.bytes:,}.")
        sha256 = hashlib.sha256()
        for content in _extents(ledger, findings, name, part, file):
            sha256.update(content)
            findings.bytes += len(content)
            for line in _unpacked(findings, name, content, compression):
                lines += 1
                yield line
    findings.lines += lines
    if sha256.hexdigest() != part.sha256:
        findings.add(f"{name}: its SHA-256 differs from the ledger's.")
    if lines != part.records:
        findings.add(f"{name}: {lines:,} lines, but the ledger has {part.records:,}.")


def _extents(
    ledger: Database, findings: Findings, name: str, part: PartState, file: BinaryIO
) -> Iterator[bytes]:
    """Yield what can be read of a part; an error of the disk is a problem of the part."""
    extents = ledger.extents(part)
    ends = [*(offset for offset, _ in extents[1:]), part.bytes]
    try:
        if not extents:  # of a part without lines
            yield file.read(part.bytes)
        for (offset, crc32), end in zip(extents, ends, strict=False):
            content = file.read(end - offset)
            if zlib.crc32(content) != crc32:
                damage = f"{name}: bytes {offset:,} to {end:,} were changed"
                findings.add(damage + _differing_byte(content, offset, end, crc32) + ".")
            yield content
    except OSError as error:
        findings.add(f"{name}: can't be read: {error.strerror}.")


def _differing_byte(content: bytes, offset: int, end: int, crc32: int) -> str:
    if len(content) != end - offset or (found := differing_byte(content, crc32)) is None:
        return ""
    at, was = found
    return f"; byte {offset + at:,} is 0x{content[at]:02x} instead of 0x{was:02x}"


def _unpacked(
    findings: Findings, name: str, content: bytes, compression: Compression
) -> Iterator[bytes]:
    try:
        text = _UNPACK[compression](content) if content else content
    except UNPACK_ERRORS as error:
        findings.add(f"{name}: can't be decompressed: {error}.")
        return
    if text:
        yield from text.removesuffix(b"\n").split(b"\n")
