"""What observers are opened with: values of settings, and what they may write to."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum

from cxai.core.events import Emit

_CAN_NOT_DRAW = {"", "dumb", "unknown"}


class Progress(StrEnum):
    """How a run shows its progress: AUTO is BAR where standard error is a terminal, else LINES."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    NONE = "none"

    @property
    def shown(self) -> "Progress":
        """What AUTO means here and now; a terminal that can't draw gets lines, even for BAR."""
        can_draw = sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in _CAN_NOT_DRAW
        if self in {Progress.AUTO, Progress.BAR}:
            return Progress.BAR if can_draw else Progress.LINES
        return self


@dataclass(frozen=True, slots=True)
class ProgressPlace:
    """The file that shows the progress of a run.

    `write` replaces it by these bytes, `remove` deletes it; both raise OSError. `thread` commits as
    well: nothing but the disk of the export is waited for there.
    """

    write: Callable[[bytes], None]
    remove: Callable[[], None]
    thread: Executor


@dataclass(frozen=True, slots=True)
class Setup:
    """What an observer may need.

    `progress_s` is the time between two lines of progress. `progress_file` is where `cxai status`
    looks, if it is to look into a file. `emit` is that of the run's EventStream (core/events.py).
    """

    progress: Progress
    progress_s: float
    emit: Emit
    progress_file: ProgressPlace | None = None
