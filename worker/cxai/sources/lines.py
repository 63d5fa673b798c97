"""Splits chunks of bytes into lines, in bounded memory however long a line is."""

from collections.abc import Iterator
from dataclasses import dataclass

from cxai.core.entry import Entry, Fault, IdRule
from cxai.errors import InputBrokenError
from cxai.sources.chunks import with_line_feeds
from cxai.sources.compression import DamagedError

START_BYTES = 512

MAX_LINE_BYTES = 4 << 20
"""Longest line of CSV or JSON Lines: it is held in memory while it is read."""


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line of more than `limit` bytes with `quotes` times `"`, of which only `start` was kept."""

    start: bytes
    quotes: int
    limit: int

    @property
    def fault(self) -> Fault:
        """Why it is rejected."""
        return Fault(f"is longer than {self.limit:,} bytes")

    def refused(self, rule: IdRule, source: str, line: int) -> Entry:
        """Return the entry for the rejected line."""
        return rule.refused(self.start, source, line, self.fault)


def numbered_lines(
    chunks: Iterator[bytes], limit: int, name: str
) -> Iterator[tuple[int, list[bytes] | Overlong]]:
    """Yield the lines completed by each chunk, without line breaks, and the number of the first.

    Numbers start at 1. A line of more than `limit` bytes is yielded alone. The last line needs no
    line break. Raises InputBrokenError when the chunks can't be read to the end; the unfinished
    line is then dropped: its beginning could look like a whole ID.
    """
    number = 1
    open_line = _OpenLine(limit)
    try:
        for chunk in _at_most(limit, with_line_feeds(chunks)):
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
            f"{name} can't be read after line {number - 1:,}:"
            f" {getattr(error, 'strerror', None) or error}."
        ) from error
    if open_line:
        ended = open_line.end()
        yield number, ended if isinstance(ended, Overlong) else [ended]


class _OpenLine:
    """The unfinished line: its bytes, or only their beginning once there are too many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._overlong = False
        self._quotes = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, piece: bytes) -> None:
        if not self._overlong:
            self._kept += piece
            if len(self._kept) <= self._limit:
                return
            piece = bytes(self._kept)
            del self._kept[min(START_BYTES, self._limit) :]
            self._overlong = True
        self._quotes += piece.count(b'"')

    def end(self) -> bytes | Overlong:
        """Return the line and start the next one."""
        kept = bytes(self._kept)
        self._kept.clear()
        if not self._overlong:
            return kept
        overlong = Overlong(kept, self._quotes, self._limit)
        self._overlong, self._quotes = False, 0
        return overlong


def _at_most(size: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Split chunks so that no line within one of them can be longer than `size`."""
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]
