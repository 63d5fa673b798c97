"""Logs where a run is stuck, and when it moves again."""

from collections.abc import Mapping
from typing import Any

from cxai.core.run_state import RunState
from cxai.core.watchdog import Stage, Stall, look_every_s
from cxai.observe.logging import LOG
from cxai.observe.setup import Setup


def open_observer(setup: Setup) -> "StallLog":
    """Return it: every run has one."""
    return StallLog(look_every_s(setup.stalled_after_s))


class StallLog:
    """Logs each stall once, as it begins and ends. An input that is silent is no warning."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self._before: Stall | None = None

    def observe(self, state: RunState) -> None:
        stall, before = state.stall, self._before
        self._before = stall
        if stall is not None and (before is None or before.stage is not stall.stage):
            log = LOG.info if stall.stage is Stage.INPUT else LOG.warning
            log(
                "stalled",
                stage=stall.stage.value,
                symptom=stall.stage.symptom,
                for_s=round(stall.for_s),
                there=stall.holding,
            )
        elif stall is None and before is not None:
            LOG.info("moves again", stage=before.stage.value)

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        """Do nothing: there is nothing to release."""
