"""Places that can't be used for now, such as a full disk: how a run shows its waits."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from cxai.clock import SystemClock
from cxai.core.events import Emit
from cxai.core.ports import Clock
from cxai.core.room import Room
from cxai.core.run_state import Blocked
from cxai.errors import DiskFullError
from cxai.observe.changes import StateChanges

_LOOK_S = 0.5


def blocked_in(room: Room, place: str, at_most_s: float | None) -> Blocked | None:
    """Return what the work in `room` waits for; `place` if its error names no other."""
    error, for_s = room.blocked_by, room.waited_s
    if error is None or for_s is None:
        return None
    is_full = isinstance(error, DiskFullError)
    return Blocked(error.place or place, for_s, at_most_s, error.cause, is_full)


class BlockedSince:
    """The first of several places that can't be used, and since when any could not."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._since: float | None = None

    def first(self, causes: Iterable[tuple[str, str]]) -> Blocked | None:
        """Return the first of these places, each with its cause; None without any."""
        now = self._now()
        for place, cause in causes:
            self._since = self._since or now
            return Blocked(place, now - self._since, None, cause, is_full=False)
        self._since = None
        return None


@asynccontextmanager
async def room_with_events(
    patience_s: float, ending: asyncio.Event, emit: Emit
) -> AsyncIterator[Room]:
    """Yield a room for work that no monitor observes; its waits are events."""
    room = Room(SystemClock(), patience_s, ending)
    emitting = asyncio.create_task(_emit_waits(room, emit))
    try:
        yield room
    finally:
        emitting.cancel()


async def _emit_waits(room: Room, emit: Emit) -> None:
    changes = StateChanges(emit)
    while True:
        await asyncio.sleep(_LOOK_S)
        changes.note_blocked(blocked_in(room, "", None))
