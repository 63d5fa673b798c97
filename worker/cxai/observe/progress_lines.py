"""Progress as an event at regular intervals."""

from collections.abc import Mapping
from typing import Any

from cxai.core.events import Emit, Event
from cxai.core.run_state import RunState
from cxai.observe.options import Progress
from cxai.observe.setup import Setup
from cxai.observe.state_text import plain


def open_observer(setup: Setup) -> "ProgressLines | None":
    """Return it if progress is to be shown as lines."""
    if setup.progress.shown is not Progress.LINES:
        return None
    return ProgressLines(setup.progress_s, setup.emit)


class ProgressLines:
    """Emits `progress` every `interval_s` seconds; the log makes a line of it."""

    def __init__(self, interval_s: float, emit: Emit) -> None:
        self.interval_s = interval_s
        self._emit = emit

    def observe(self, state: RunState) -> None:
        self._emit("progress", **plain(state))

    def see(self, _event: Event) -> None:
        """Do nothing: the log writes events."""

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        """Do nothing: there is nothing to release."""
