"""The events of a run: stable names, levels and fields. Programs read them; add, don't rename."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Emit = Callable[..., None]
"""Takes an event as EventStream.emit does: its name, and its fields by keyword."""

_MOST_KEPT = 100


class Level(StrEnum):
    """How much an event matters, the least first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    def includes(self, other: "Level") -> bool:
        """Whether a log of this level shows an event of the `other` level."""
        return _ORDER[other] >= _ORDER[self]


_ORDER = {level: number for number, level in enumerate(Level)}


class Kind:
    """The usual level of an event, and the fields that it may have."""

    def __init__(self, level: Level, fields: str) -> None:
        self.level, self.fields = level, frozenset(fields.split())


EVENTS: Mapping[str, Kind] = {
    # The run. `run_finished` is an error unless its exit code is 0 or a stop left nothing open.
    "run_started": Kind(
        Level.INFO, "run_id version source output rate in_flight base_url resource"
    ),
    "progress": Kind(  # and the count of each verdict, by its name
        Level.INFO, "state kind done total open rate_now rate_allowed in_flight eta_s elapsed_s"
    ),
    "stopping": Kind(Level.WARNING, "signal grace_s"),
    "ids_failed": Kind(Level.WARNING, "verdict ids reasons"),
    "undocumented_fields": Kind(Level.WARNING, "unknown unknown_paths absent_paths more"),
    "run_finished": Kind(Level.INFO, "exit_code ended reason headline ids failed open"),
    "run_not_closed": Kind(Level.WARNING, "reason"),
    "run_refused": Kind(Level.ERROR, "exit_code"),
    "setting_renamed": Kind(Level.WARNING, "setting use"),
    "run_abandoned": Kind(Level.ERROR, "exit_code"),
    "run_crashed": Kind(Level.ERROR, "exit_code traceback"),
    "report_lost": Kind(Level.ERROR, "exit_code"),
    # Other commands, if their exit code is not 0.
    "enqueue_failed": Kind(Level.ERROR, "exit_code"),
    "verify_failed": Kind(Level.ERROR, "exit_code"),
    "observer_failed": Kind(Level.WARNING, "observer reason"),
    # The API.
    "request_done": Kind(Level.DEBUG, "id endpoint attempt status failure bytes ms"),
    "slower_requests": Kind(Level.WARNING, "reason"),
    "api_unanswered": Kind(Level.WARNING, "url for_s cause check"),
    "outage_began": Kind(Level.WARNING, "url cause check"),
    "outage_ended": Kind(Level.INFO, "url after_s"),
    "token_refused": Kind(Level.WARNING, "cause"),
    "token_renewed": Kind(Level.INFO, ""),
    # The work.
    "stage_stalled": Kind(Level.WARNING, "stage symptom for_s holding"),
    "stage_moving": Kind(Level.INFO, "stage"),
    "reader_started": Kind(Level.INFO, "reader pid reason start_s memory_mb"),
    "reader_lost": Kind(Level.WARNING, "reader reason restart_in_s effect"),
    "reader_given_up": Kind(Level.WARNING, "reader reason effect"),
    # The input.
    "queue_unreachable": Kind(Level.WARNING, "queue reason"),
    "queue_reachable": Kind(Level.INFO, "queue after_s"),
    "queue_group_created": Kind(Level.INFO, "queue group"),
    "queue_messages_lost": Kind(Level.WARNING, "queue count first reason"),
    "queue_messages_not_deleted": Kind(Level.WARNING, "queue count"),
    "source_not_closed": Kind(Level.WARNING, "reason"),
    # The output.
    "storage_blocked": Kind(Level.WARNING, "place reason"),
    "storage_back": Kind(Level.INFO, "place after_s"),
    "file_quarantined": Kind(Level.WARNING, "file reason"),
    "parts_reopened": Kind(Level.WARNING, "parts ids"),
    # Many workers.
    "workers_gone": Kind(Level.WARNING, "workers reason"),
    "worker_replaced": Kind(Level.WARNING, "reason"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run. `text`, if not empty, is for people; a log's `reason`."""

    name: str
    level: Level
    values: Mapping[str, Any]
    text: str = ""


class EventStream:
    """Hands each event to all that are attached, in order and before `emit` returns.

    The first to be attached also gets what was emitted before, up to 100 events.
    """

    def __init__(self) -> None:
        self._attached: list[Callable[[Event], None]] = []
        self._early: deque[Event] = deque(maxlen=_MOST_KEPT)

    def emit(
        self, event: str, *, level: Level | None = None, text: str = "", **values: Any
    ) -> None:
        """Emit an event at its usual level, unless one is given; an extension's is a warning."""
        usual = EVENTS[event].level if event in EVENTS else Level.WARNING
        emitted = Event(event, level or usual, values, text)
        if not self._attached:
            self._early.append(emitted)
        for see in tuple(self._attached):
            see(emitted)

    def attach(self, see: Callable[[Event], None]) -> None:
        """Call `see`, which raises nothing, with each event from now on, and the early ones."""
        self._attached.append(see)
        while self._early:
            see(self._early.popleft())

    def detach(self, see: Callable[[Event], None]) -> None:
        """Call `see` no more."""
        self._attached.remove(see)
