"""What observers are opened with: values of settings, and what they may write to."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from cxai.observe.progress import Progress


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
    """What an observer may need.

    `write_progress` replaces the progress file by these bytes, `remove_progress` deletes it; both
    raise OSError. `thread` commits as well: nothing but the disk of the export is waited for there.
    """

    choices: Choices
    write_progress: Callable[[bytes], None]
    remove_progress: Callable[[], None]
    thread: Executor
