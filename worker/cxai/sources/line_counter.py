"""How long an input is, counted beside the run: for the progress, nothing else."""

import threading
from collections.abc import Sequence

from cxai.errors import InputBrokenError
from cxai.sources.chunks import chunks_of, with_line_feeds
from cxai.sources.compression import DamagedError, decompressed
from cxai.sources.paths import STDIN, expanded, is_regular, opened


class LineCounter:
    """Counts the lines of a source's files on a thread, which never keeps the process alive.

    `lines` is None until all are counted, and for ever if one of the source's `names` is not that
    of a regular file.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.lines: int | None = None
        self._paths = expanded(names)

    def start(self) -> None:
        """Begin to count."""
        threading.Thread(target=self._count, name="line-counter", daemon=True).start()

    def _count(self) -> None:
        try:
            if all(map(_is_file, self._paths)):
                self.lines = sum(map(_lines_of, self._paths))
        except (OSError, DamagedError, InputBrokenError):
            return  # the run itself tells what is wrong with it


def _is_file(path: str) -> bool:
    return path != STDIN and is_regular(path)


def _lines_of(path: str) -> int:
    lines, last = 0, b"\n"
    with opened(path) as raw:
        for chunk in with_line_feeds(decompressed(chunks_of(raw))):
            lines += chunk.count(b"\n")
            last = chunk or last
    return lines + (not last.endswith(b"\n"))
