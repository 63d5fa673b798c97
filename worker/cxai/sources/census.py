"""How long an input is, counted beside the run: for the progress, nothing else."""

import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from cxai.errors import InputBrokenError
from cxai.sources.chunks import chunks_of, with_line_feeds
from cxai.sources.compression import DamagedError, decompressed
from cxai.sources.file import STDIN, opened


class Census:
    """Counts the lines of `paths` on a thread of its own, which never keeps the process alive.

    `lines` is None until all are counted, and for ever if one of them is no regular file.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.lines: int | None = None
        self._paths = paths

    def start(self) -> None:
        """Begin to count."""
        threading.Thread(target=self._count, name="census", daemon=True).start()

    def _count(self) -> None:
        try:
            if self._paths and all(map(_is_regular, self._paths)):
                self.lines = sum(map(_lines_of, self._paths))
        except (OSError, DamagedError, InputBrokenError):
            return  # the run itself tells what is wrong with it


def _is_regular(path: str) -> bool:
    return path != STDIN and stat.S_ISREG(Path(path).stat().st_mode)


def _lines_of(path: str) -> int:
    lines, last = 0, b"\n"
    with opened(path) as raw:
        for chunk in with_line_feeds(decompressed(chunks_of(raw))):
            lines += chunk.count(b"\n")
            last = chunk or last
    return lines + (not last.endswith(b"\n"))
