"""Logs when a place that a run writes to can't be used, and when it can again."""

from collections.abc import Mapping
from typing import Any

from cxai.core.run_state import Blocked, RunState
from cxai.observe.logging import LOG
from cxai.observe.setup import Setup

_LOOK_S = 1.0


def open_observer(_setup: Setup) -> "BlockedLog":
    """Return it: every run has one."""
    return BlockedLog()


class BlockedLog:
    """Logs each wait once, as it begins and as it ends."""

    interval_s = _LOOK_S

    def __init__(self) -> None:
        self._before: Blocked | None = None

    def observe(self, state: RunState) -> None:
        self.note(state.blocked)

    def note(self, blocked: Blocked | None) -> None:
        """Log the difference to what was noted before."""
        before, self._before = self._before, blocked
        if blocked is not None and before is None:
            LOG.warning("storage_blocked", place=blocked.place, reason=blocked.cause)
        elif blocked is None and before is not None:
            LOG.info("storage_back", place=before.place, after_s=round(before.for_s))

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        """Do nothing: there is nothing to release."""
