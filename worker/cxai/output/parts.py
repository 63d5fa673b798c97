"""Parts: append-only files whose committed length is in the ledger.

Nothing here decides what is committed: the caller appends, syncs, commits to the ledger, and only
then calls `advance`.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from isal.isal_zlib import crc32 as crc32_of  # zlib's takes 4 to 11 µs more for 18 KB

from cxai.errors import IntegrityError
from cxai.output.codecs import COMPRESS
from cxai.output.compression import Compression
from cxai.output.durable import sync_data
from cxai.output.part_state import Extent, PartState, part_name
from cxai.output.private import is_displaced, open_private

_MOST_BUFFERS = 512  # of one pwritev; Linux allows 1,024
_READ_BYTES = 1 << 20


def as_named(directory: Path, state: PartState, compression: Compression) -> PartState | None:
    """Return a part as its file is named, sealed or open; None if it has no file.

    After a crash, the file of a sealed part may still have its open name.
    """
    for named in (state, replace(state, sealed=False)):
        if os.path.lexists(directory / part_name(named, compression)):
            return named
    return None


def missing_parts(
    directory: Path, states: Iterable[PartState], compression: Compression
) -> list[PartState]:
    """Return the parts with rows whose files are missing and not released."""
    return [
        state
        for state in states
        if state.records
        and not state.is_released
        and as_named(directory, state, compression) is None
    ]


class OpenPart:
    """The part of a set that is being written.

    Its file is created by the first `append`. Raises OSError as the system does; after a failed
    `append` the file is cut back to its committed length.
    """

    def __init__(self, directory: Path, state: PartState, compression: Compression) -> None:
        self.state = state
        self.path = directory / part_name(state, compression)
        self._compression = compression
        self._fd = -1
        self._sha256 = hashlib.sha256()
        self._pending: tuple[PartState, hashlib._Hash] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file is open; the first `append` creates it."""
        return self._fd >= 0

    def recover(self) -> None:
        """Truncate the file to its committed length.

        Raises IntegrityError with its name if committed bytes are missing, and leaves it as it is.
        """
        if not os.path.lexists(self.path) and self.state.bytes == 0:
            return
        try:
            self._fd = open_private(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError as error:
            raise IntegrityError(
                f"{self.path} can't be opened ({error.strerror}); the ledger has"
                f" {self.state.bytes:,} bytes of it. Put the file back."
            ) from error
        size = os.fstat(self._fd).st_size
        if size < self.state.bytes:
            raise IntegrityError(
                f"{self.path} has {size:,} bytes, but the ledger has {self.state.bytes:,}: it was"
                " truncated. Put the original back; if it is lost, delete the file and run the same"
                " command with --reopen-missing."
            )
        for chunk in self._committed():
            self._sha256.update(chunk)
        if self._sha256.hexdigest() != self.state.sha256:
            raise IntegrityError(
                f"{self.path} was changed: the checksum of its first {self.state.bytes:,} bytes"
                f" differs. `cxai verify {self.path.parent}` shows where."
            )
        if size > self.state.bytes:
            self.cut_back()
            self.sync()  # before it is sealed: it would be refused if its tail came back

    @property
    def is_displaced(self) -> bool:
        """Whether its file was moved, removed or replaced. Raises OSError."""
        return self.is_open and is_displaced(self.path, os.fstat(self._fd))

    def copy_committed(self, target: Path) -> None:
        """Copy what is committed from the open descriptor to a new file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(open_private(target, flags), "wb") as file:  # noqa: PTH123 - a descriptor
            file.writelines(self._committed())

    def append(self, lines: Sequence[bytes]) -> Extent:
        """Write whole lines after the committed ones; not durable before `sync`."""
        if not self.is_open:
            self._fd = open_private(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CREAT)
        chunks = COMPRESS[self._compression](lines)
        offset = self.state.bytes
        end, crc32, sha256 = offset, 0, self._sha256.copy()
        for chunk in chunks:
            end += len(chunk)
            crc32 = crc32_of(chunk, crc32)
            sha256.update(chunk)
        try:
            _write_at(self._fd, chunks, offset)
        except OSError:
            self.cut_back()
            raise
        records = self.state.records + sum(map(_line_feeds, lines))
        after = PartState(self.state.set, self.state.number, end, records, sha256.hexdigest())
        self._pending = (after, sha256)
        return Extent(offset, crc32, after)

    def sync(self) -> None:
        """Make what was written durable. After a failure, nothing is certain: stop."""
        sync_data(self._fd)

    def advance(self) -> None:
        """Note that the ledger has committed what was appended."""
        if self._pending is not None:
            self.state, self._sha256 = self._pending
            self._pending = None

    def cut_back(self) -> None:
        """Truncate the file to its committed length."""
        self._pending = None
        os.ftruncate(self._fd, self.state.bytes)

    def close(self) -> None:
        """Close the file."""
        if self.is_open:
            with suppress(OSError):  # what is committed was synced before
                os.close(self._fd)
            self._fd = -1

    def _committed(self) -> Iterator[bytes]:
        offset = 0
        while offset < self.state.bytes:
            chunk = os.pread(self._fd, min(_READ_BYTES, self.state.bytes - offset), offset)
            if not chunk:
                return
            yield chunk
            offset += len(chunk)


def _line_feeds(lines: bytes) -> int:
    # Mostly it is one line, and finding its end is faster than counting (0.6 and 7 µs).
    return 1 if lines.find(b"\n") + 1 == len(lines) > 0 else lines.count(b"\n")


def _write_at(fd: int, chunks: Sequence[bytes], offset: int) -> None:
    """Write all chunks at `offset`. A short write (the disk fills up) resumes where it ended."""
    for first in range(0, len(chunks), _MOST_BUFFERS):
        some = chunks[first : first + _MOST_BUFFERS]
        size = sum(map(len, some))
        done = os.pwritev(fd, some, offset) if hasattr(os, "pwritev") else 0  # macOS 10
        if done < size:
            rest = memoryview(b"".join(some))[done:]
            while rest:
                done = os.pwrite(fd, rest, offset + size - len(rest))
                rest = rest[done:]
        offset += size
