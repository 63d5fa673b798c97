"""Everything that is shown of a run while it goes, by name. A new observer is one line here."""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from cxai.core.ports import Observer
from cxai.core.watchdog import look_every_s
from cxai.observe.progress import Progress
from cxai.observe.progress_file import ProgressFile
from cxai.observe.progress_lines import ProgressLines
from cxai.observe.stalls import StallLog
from cxai.observe.unanswered import UnansweredLog


class Choices(Protocol):
    """The settings that observers read."""

    @property
    def progress(self) -> Progress:
        """How progress is shown."""
        ...

    @property
    def progress_s(self) -> float:
        """Seconds between two lines of progress."""
        ...

    @property
    def stalled_after_s(self) -> float:
        """Seconds without a move at one stage that are a stall."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What observers are opened with.

    `write_progress` replaces the progress file by these bytes, `remove_progress` deletes it; both
    raise OSError. `thread` commits as well: nothing but the disk of the export is waited for there.
    """

    choices: Choices
    write_progress: Callable[[bytes], None]
    remove_progress: Callable[[], None]
    thread: Executor


def open_observers(setup: Setup) -> dict[str, Observer]:
    """Return, by name, all observers that are wanted. Raises UsageError."""
    opened = ((name, opener(setup)) for name, opener in OBSERVERS.items())
    return {name: observer for name, observer in opened if observer is not None}


def _progress_file(setup: Setup) -> Observer:
    return ProgressFile(setup.write_progress, setup.remove_progress, setup.thread)


def _progress_lines(setup: Setup) -> Observer | None:
    if _shown(setup) is Progress.LINES:
        return ProgressLines(setup.choices.progress_s)
    return None


def _live_view(setup: Setup) -> Observer | None:
    if _shown(setup) is not Progress.BAR:
        return None
    from cxai.observe.live_view import LiveView  # noqa: PLC0415 - only where it is shown

    return LiveView()


def _shown(setup: Setup) -> Progress:
    if setup.choices.progress is not Progress.AUTO:
        return setup.choices.progress
    return Progress.BAR if sys.stderr.isatty() else Progress.LINES


def _stalls(setup: Setup) -> Observer:
    return StallLog(look_every_s(setup.choices.stalled_after_s))


def _unanswered(_setup: Setup) -> Observer:
    return UnansweredLog()


OBSERVERS: Mapping[str, Callable[[Setup], Observer | None]] = {
    "live_view": _live_view,
    "progress_lines": _progress_lines,
    "progress_file": _progress_file,
    "stalls": _stalls,
    "unanswered": _unanswered,
}
"""Each opens its observer; None: it is not wanted. Raises UsageError."""
