"""Logs that the API answers nothing, from the start or in an outage, with the cause if known."""

from collections.abc import Mapping
from typing import Any

from cxai.core.run_state import RunState
from cxai.observe.logging import LOG
from cxai.observe.setup import Setup

# That is worth a warning after so long: sooner if the cause is known.
_SILENT_S, _FAILING_S = 45.0, 3.0


def open_observer(_setup: Setup) -> "UnansweredLog":
    """Return it: every run has one."""
    return UnansweredLog()


class UnansweredLog:
    """Logs it once each time, with the URL, the cause, and what to check."""

    interval_s = 1.0

    def __init__(self) -> None:
        self._is_logged = False

    def observe(self, state: RunState) -> None:
        api = state.api
        for_s = api.down_for_s if api.unanswered_s is None else api.unanswered_s
        if for_s is None:
            self._is_logged = False
        elif not self._is_logged and for_s >= (_FAILING_S if api.trouble else _SILENT_S):
            self._is_logged = True
            LOG.warning(
                "api_unanswered",
                url=api.url,
                for_s=round(for_s),
                cause=api.trouble or "no reply to any request yet",
                check=api.advice or "Check base_url, the network, and the API's own status.",
            )

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        """Do nothing: there is nothing to release."""
