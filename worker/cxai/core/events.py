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


@dataclass(frozen=True, slots=True)
class Kind:
    """The usual level of an event, and the fields that it may have."""

    level: Level
    fields: frozenset[str]


def _kind(level: Level, fields: str) -> Kind:
    return Kind(level, frozenset(fields.split()))


EVENTS: Mapping[str, Kind] = {
    # The run. `run_finished` is an error unless its exit code is 0 or a stop left nothing open.
    "run_started": _kind(
        Level.INFO, "run_id version source output rate in_flight base_url resource"
    ),
    "progress": _kind(  # and the count of each verdict, by its name
        Level.INFO, "state kind done total open rate_now rate_allowed in_flight eta_s elapsed_s"
    ),
    "stopping": _kind(Level.WARNING, "signal grace_s"),
    "ids_failed": _kind(Level.WARNING, "verdict ids reasons"),
    "undocumented_fields": _kind(Level.WARNING, "unknown unknown_paths absent_paths more"),
    "run_finished": _kind(Level.INFO, "exit_code ended reason headline ids failed open"),
    "run_not_closed": _kind(Level.WARNING, "reason"),
    "run_refused": _kind(Level.ERROR, "exit_code"),
    "setting_renamed": _kind(Level.WARNING, "setting use"),
    "run_abandoned": _kind(Level.ERROR, "exit_code"),
    "run_crashed": _kind(Level.ERROR, "exit_code traceback"),
    "report_lost": _kind(Level.ERROR, "exit_code"),
    # Other commands, if their exit code is not 0.
    "enqueue_failed": _kind(Level.ERROR, "exit_code"),
    "verify_failed": _kind(Level.ERROR, "exit_code"),
    "observer_failed": _kind(Level.WARNING, "observer reason"),
    # The API.
    "request_done": _kind(Level.DEBUG, "id endpoint attempt status failure bytes ms"),
    "slower_requests": _kind(Level.WARNING, "reason"),
    "api_unanswered": _kind(Level.WARNING, "url for_s cause check"),
    "outage_began": _kind(Level.WARNING, "url cause check"),
    "outage_ended": _kind(Level.INFO, "url after_s"),
    "token_refused": _kind(Level.WARNING, "cause"),
    "token_renewed": _kind(Level.INFO, ""),
    # The work.
    "stage_stalled": _kind(Level.WARNING, "stage symptom for_s holding"),
    "stage_moving": _kind(Level.INFO, "stage"),
    "reader_started": _kind(Level.INFO, "reader pid reason start_s memory_mb"),
    "reader_lost": _kind(Level.WARNING, "reader reason restart_in_s effect"),
    "reader_given_up": _kind(Level.WARNING, "reader reason effect"),
    # The input.
    "queue_unreachable": _kind(Level.WARNING, "queue reason"),
    "queue_reachable": _kind(Level.INFO, "queue after_s"),
    "queue_group_created": _kind(Level.INFO, "queue group"),
    "queue_messages_lost": _kind(Level.WARNING, "queue count first reason"),
    "queue_messages_not_deleted": _kind(Level.WARNING, "queue count"),
    "source_not_closed": _kind(Level.WARNING, "reason"),
    # The output.
    "storage_blocked": _kind(Level.WARNING, "place reason"),
    "storage_back": _kind(Level.INFO, "place after_s"),
    "file_quarantined": _kind(Level.WARNING, "file reason"),
    "parts_reopened": _kind(Level.WARNING, "parts ids"),
    # Many workers.
    "workers_gone": _kind(Level.WARNING, "workers reason"),
    "worker_replaced": _kind(Level.WARNING, "reason"),
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run. `text`, if there is one, says it in a sentence to people.

    Where programs read the log, `text` is the event's `reason`.
    """

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
        """Emit an event by its name. Without a `level` it has the usual one of EVENTS.

        A name that is not there, as that of an extension, has level warning.
        """
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
