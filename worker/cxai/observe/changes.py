"""Events that follow from the state of a run: a stall, an outage, storage that can't be used.

Each is emitted once as it begins and once as it ends. The state is sampled, at least once a second:
what begins and ends between two looks is no event.
"""

from cxai.core.events import Emit, Level
from cxai.core.run_state import ApiState, Blocked, RunState
from cxai.core.watchdog import Stage, Stall

# An API that has never answered is worth a warning after so long: sooner if the cause is known.
_SILENT_S, _FAILING_S = 45.0, 3.0
_CHECK = "Check base_url, the network, and the API's own status."


class StateChanges:
    """Compares each state with the one before, and emits what has changed."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._stall: Stall | None = None
        self._blocked: Blocked | None = None
        self._outage_s: float | None = None
        self._is_unanswered = False

    def note(self, state: RunState) -> None:
        """Compare `state`, the one that follows the last."""
        self._note_stall(state.stall)
        self.note_blocked(state.blocked)
        self._note_unanswered(state.api)
        self._note_outage(state.api)

    def _note_stall(self, stall: Stall | None) -> None:
        before, self._stall = self._stall, stall
        if stall is not None and (before is None or before.stage is not stall.stage):
            self._emit(
                "stage_stalled",
                level=Level.INFO if stall.stage is Stage.INPUT else None,
                stage=stall.stage.value,
                symptom=stall.stage.symptom,
                for_s=round(stall.for_s),
                holding=stall.holding,
            )
        elif stall is None and before is not None:
            self._emit("stage_moving", stage=before.stage.value)

    def note_blocked(self, blocked: Blocked | None) -> None:
        """Compare what can't be used now with what could not before."""
        before, self._blocked = self._blocked, blocked
        if blocked is not None and before is None:
            self._emit("storage_blocked", place=blocked.place, reason=blocked.cause)
        elif blocked is None and before is not None:
            self._emit("storage_back", place=before.place, after_s=round(before.for_s))

    def _note_unanswered(self, api: ApiState) -> None:
        for_s = api.unanswered_s
        if for_s is None:
            self._is_unanswered = False
        elif not self._is_unanswered and for_s >= (_FAILING_S if api.trouble else _SILENT_S):
            self._is_unanswered = True
            self._emit(
                "api_unanswered",
                url=api.url,
                for_s=round(for_s),
                cause=api.trouble or "no reply to any request yet",
                check=api.advice or _CHECK,
            )

    def _note_outage(self, api: ApiState) -> None:
        for_s = api.down_for_s if api.unanswered_s is None else None  # or it is `api_unanswered`
        before, self._outage_s = self._outage_s, for_s
        if for_s is not None and before is None:
            self._emit("outage_began", url=api.url, cause=api.trouble, check=api.advice or _CHECK)
        elif for_s is None and before is not None:
            self._emit("outage_ended", url=api.url, after_s=round(before))
