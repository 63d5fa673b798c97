"""The observers of a run, by name. A new one is a file and a line in OBSERVERS.

Its module has a function `open_observer(setup)` that returns an observer, or None if it is not
wanted, and raises UsageError if it can't be opened as configured. It holds nothing yet that has to
be released: the run may still be refused. The log outlives the run: a command attaches it.
"""

from collections.abc import Mapping
from importlib import import_module

from cxai.core.ports import Observer
from cxai.observe.setup import Setup

OBSERVERS: Mapping[str, str] = {
    # name: the module that opens it
    "live_view": "cxai.observe.live_view",
    "progress_lines": "cxai.observe.progress_lines",
    "progress_file": "cxai.observe.progress_file",
}


def open_observers(setup: Setup) -> dict[str, Observer]:
    """Return, by name, all observers that are wanted. Raises UsageError."""
    opened = ((name, import_module(one).open_observer(setup)) for name, one in OBSERVERS.items())
    return {name: observer for name, observer in opened if observer is not None}
