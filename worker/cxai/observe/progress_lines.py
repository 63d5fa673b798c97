"""Progress as structured log lines."""

from collections.abc import Mapping
from typing import Any

from cxai.core.run_state import RunState
from cxai.observe.logging import LOG
from cxai.observe.options import Progress
from cxai.observe.setup import Setup
from cxai.observe.state_text import plain


def open_observer(setup: Setup) -> "ProgressLines | None":
    """Return it if progress is to be shown as lines."""
    return ProgressLines(setup.progress_s) if setup.progress.shown is Progress.LINES else None


class ProgressLines:
    """Logs one line every `interval_s` seconds."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s

    def observe(self, state: RunState) -> None:
        LOG.info("progress", **plain(state))

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        """Do nothing: there is nothing to release."""
