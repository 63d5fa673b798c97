"""What observers are opened with: values of settings, and what they may write to."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from cxai.core.events import Emit
from cxai.observe.options import Progress


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
