"""What observers are opened with: values of settings, and what they may write to."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from cxai.core.events import Emit
from cxai.observe.options import Progress


@dataclass(frozen=True, slots=True)
class ProgressPlace:
    """The file that shows the progress of a run.

    `write` replaces its content, `remove` deletes it; both raise OSError. `thread` also commits:
    work there may wait for the disk of the export and nothing else.
    """

    write: Callable[[bytes], None]
    remove: Callable[[], None]
    thread: Executor


@dataclass(frozen=True, slots=True)
class Setup:
    """What an observer may need: `progress_s` is the time between two lines of progress.

    `progress_file` is where `cxai status` looks, `emit` that of the run's EventStream.
    """

    progress: Progress
    progress_s: float
    emit: Emit
    progress_file: ProgressPlace | None = None
