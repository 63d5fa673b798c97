"""Counts the lines of an input on a separate thread, for the progress only."""

import threading
from collections.abc import Sequence

from cxai.errors import InputBrokenError
from cxai.sources.chunks import chunks_of, with_line_feeds
from cxai.sources.compression import DamagedError, decompressed
from cxai.sources.formats import TABLE, Layout
from cxai.sources.paths import STDIN, expanded, is_regular, opened


class LineCounter:
    """Counts the lines of a source's files on a daemon thread, without the header rows of CSV.

    `lines` is None until all are counted, and stays None if any name is not a regular file's.
    """

    def __init__(
        self, names: Sequence[str], *, column: str | None = None, field: str | None = None
    ) -> None:
        self.lines: int | None = None
        self._paths = expanded(names)
        self._layout = Layout(column, field)

    def start(self) -> None:
        """Start counting."""
        threading.Thread(target=self._count, name="line-counter", daemon=True).start()

    def _count(self) -> None:
        try:
            if all(path != STDIN and is_regular(path) for path in self._paths):
                self.lines = sum(map(self._lines_of, self._paths))
        except (OSError, DamagedError, InputBrokenError):
            return  # the run itself reports it

    def _lines_of(self, path: str) -> int:
        lines, last = 0, b"\n"
        with opened(path) as raw:
            for chunk in with_line_feeds(decompressed(chunks_of(raw))):
                lines += chunk.count(b"\n")
                last = chunk or last
        lines += not last.endswith(b"\n")
        return max(0, lines - 1) if self._layout.format_of(path) is TABLE else lines
