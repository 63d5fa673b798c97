"""What observers are opened with: values of settings, and what they may write to."""

import sys
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum


class Progress(StrEnum):
    """How a run shows its progress: AUTO is BAR where standard error is a terminal, else LINES."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    NONE = "none"

    @property
    def shown(self) -> "Progress":
        """The choice that AUTO comes to here and now."""
        if self is not Progress.AUTO:
            return self
        return Progress.BAR if sys.stderr.isatty() else Progress.LINES


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

    `progress_s` is the time between two lines of progress, `stalled_after_s` the time without a
    move at one stage that is a stall. `progress_file` is where `cxai status` looks, if it is to
    look into a file.
    """

    progress: Progress
    progress_s: float
    stalled_after_s: float
    progress_file: ProgressPlace | None = None
