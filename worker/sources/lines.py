"""Chunks of bytes cut into lines, however long a line is, in bounded memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from worker.domain.entry import Entry, refused
from worker.errors import InputBrokenError
from worker.sources.compression import DamagedError

_START_BYTES = 512


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line longer than `limit` bytes, which was not kept.

    `start` is its beginning, `digest` the SHA-256 of all of it, `quotes` how many `"` it has.
    """

    start: bytes
    digest: bytes
    quotes: int
    limit: int

    def refused(self, source: str, line: int) -> Entry:
        """Return the entry that such a line is."""
        reason = f"line is longer than {self.limit:,} bytes"
        return refused(self.start, source, line, reason, digest=self.digest)


def numbered_lines(
    chunks: Iterator[bytes], limit: int, name: str
) -> Iterator[tuple[int, list[bytes] | Overlong]]:
    """Yield the lines that each chunk ends, without their LF, and the number of the first.

    Numbers count from 1. A line of more than `limit` bytes is yielded alone. A last line without
    an LF is a line, too. Raises InputBrokenError when the chunks can't be read to their end;
    the line that was open then is not yielded: its beginning could pass for a whole ID.
    """
    number = 1
    open_line = _OpenLine(limit)
    try:
        for chunk in _at_most(limit, chunks):
            first, *lines = chunk.split(b"\n")
            open_line.add(first)
            if not lines:
                continue
            ended = open_line.end()
            open_line.add(lines.pop())
            if isinstance(ended, Overlong):
                yield number, ended
                number += 1
            else:
                lines.insert(0, ended)
            if lines:
                yield number, lines
                number += len(lines)
    except (DamagedError, OSError) as error:
        raise InputBrokenError(
            f"{name} can't be read on after line {number - 1:,}: {_why(error)}."
            " What stood before is kept; mend the input and run the same command again."
        ) from error
    if open_line:
        ended = open_line.end()
        yield number, ended if isinstance(ended, Overlong) else [ended]


class _OpenLine:
    """The line whose end has not come yet: its bytes, or a digest once they are too many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._overlong = False
        self._digest = hashlib.sha256()
        self._quotes = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, piece: bytes) -> None:
        if not self._overlong:
            self._kept += piece
            if len(self._kept) <= self._limit:
                return
            piece = bytes(self._kept)
            del self._kept[min(_START_BYTES, self._limit) :]
            self._overlong = True
        self._digest.update(piece)
        self._quotes += piece.count(b'"')

    def end(self) -> bytes | Overlong:
        """Return the line and begin the next one."""
        kept = bytes(self._kept)
        self._kept.clear()
        if not self._overlong:
            return kept
        overlong = Overlong(kept, self._digest.digest(), self._quotes, self._limit)
        self._overlong, self._digest, self._quotes = False, hashlib.sha256(), 0
        return overlong


def _at_most(size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut chunks so that no whole line in one of them can be longer than `size`."""
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
