"""Reads the objects of an export, and checks their bytes against the log."""

import gzip
import hashlib
import zlib
from collections.abc import AsyncGenerator, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO

from cxai.cluster.names import final_name
from cxai.cluster.rows import ObjectRow
from cxai.core.figures import counted
from cxai.inspect.verify.findings import Advice, Findings
from cxai.objects.port import ObjectStore
from cxai.output.codecs import OPEN_UNPACKED
from cxai.output.compression import Compression
from cxai.zstd import zstd

UNPACKING_ERRORS = (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError)

_IN_MEMORY_BYTES = 64 << 20  # a larger object is kept in a temporary file while it is read


def lines_in(file: IO[bytes], compression: Compression) -> Iterator[bytes]:
    """Yield the lines of an object, without their ends. Raises one of UNPACKING_ERRORS."""
    for line in OPEN_UNPACKED.get(compression, iter)(file):
        yield line.removesuffix(b"\n")


class Objects:
    """The objects of an export, whose faults are added to `findings`."""

    def __init__(self, store: ObjectStore, findings: Findings, compression: Compression) -> None:
        self._store = store
        self._findings = findings
        self._compression = compression

    async def lines(self, row: ObjectRow) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an object; note where its bytes differ from the log."""
        lines = 0
        with SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
            if (found := await self._copy(row, file)) is None:
                return
            name, sha256 = found
            size = file.tell()
            file.seek(0)
            try:
                for line in lines_in(file, self._compression):
                    lines += 1
                    yield line
            except UNPACKING_ERRORS as error:
                self._add(f"{name}: can't be decompressed: {error}.")
        self._compare(row, name, size, sha256, lines)

    def _compare(self, row: ObjectRow, name: str, size: int, sha256: bytes, lines: int) -> None:
        self._findings.parts += 1
        self._findings.bytes += size
        self._findings.lines += lines
        if size != row.size:
            self._add(f"{name}: {size:,} bytes, but the ledger has {row.size:,}.")
        if sha256 != row.sha256:
            self._add(f"{name}: its SHA-256 is not the ledger's.")
        if lines != row.records:
            self._add(f"{name}: {counted(lines, 'lines')}, but the ledger has {row.records:,}.")

    async def _copy(self, row: ObjectRow, file: IO[bytes]) -> tuple[str, bytes] | None:
        """Copy an object; return its present name and its SHA-256, None if it is missing."""
        name = final_name(row.number, row.set, self._compression)
        # While it is being published, it moves from one name to the other.
        for there in (name,) if row.published else (name, row.pending, name):
            sha256 = hashlib.sha256()
            file.seek(0)
            file.truncate()
            try:
                async for chunk in self._store.read(there):
                    sha256.update(chunk)
                    file.write(chunk)
            except FileNotFoundError:
                continue
            if there == row.pending:
                self._findings.unfinished.append(
                    f"{name} is committed, but not published yet: it is still {row.pending}."
                )
            return there, sha256.digest()
        self._add(f"{name}: is missing.")
        return None

    def _add(self, problem: str) -> None:
        self._findings.add(problem, Advice.RESTORE_OBJECTS)
