"""Waits for storage while no monitor watches: before a run begins, and in a feeder."""

import asyncio

from cxai.core.events import Emit
from cxai.core.room import Room

_LOOK_S = 0.5


async def emit_waits(room: Room, emit: Emit) -> None:
    """Emit what `room` waits for, and when that is over, until it is cancelled."""
    place, waited_s = "", 0.0
    while True:
        await asyncio.sleep(_LOOK_S)
        error = room.blocked_by
        if error is not None and not place:
            place = error.place
            emit("storage_blocked", place=place, reason=error.cause)
        elif error is None and place:
            emit("storage_back", place=place, after_s=round(waited_s))
            place = ""
        waited_s = room.waited_s or 0.0
