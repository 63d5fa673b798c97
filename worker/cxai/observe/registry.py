"""What shows a run while it goes, by name. A new observer is a file and a line in OBSERVERS.

Its module has a function `open_observer(setup)`, an Opener.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from cxai.core.ports import Observer
from cxai.observe.setup import Setup

OBSERVERS: Mapping[str, str] = {
    # name: the module that opens it
    "live_view": "cxai.observe.live_view",
    "progress_lines": "cxai.observe.progress_lines",
    "progress_file": "cxai.observe.progress_file",
    "stalls": "cxai.observe.stalls",
    "unanswered": "cxai.observe.unanswered",
}


class Opener(Protocol):
    """Opens one observer."""

    def __call__(self, setup: Setup) -> Observer | None:
        """Return it, or None if it is not wanted. Raises UsageError if it can't be as wanted."""
        ...


def open_observers(setup: Setup) -> dict[str, Observer]:
    """Return, by name, all observers that are wanted. Raises UsageError."""
    opened = {}
    for name, module in OBSERVERS.items():
        opener: Opener = import_module(module).open_observer
        if (observer := opener(setup)) is not None:
            opened[name] = observer
    return opened
