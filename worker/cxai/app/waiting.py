"""Waits that no display shows: they are logged."""

import asyncio

from cxai.core.room import Room
from cxai.observe.logging import LOG

_LOOK_S = 0.5


async def say_what_is_lacking(room: Room) -> None:
    """Log what is waited for, and when that is over, until it is cancelled."""
    place, waited_s = "", 0.0
    while True:
        await asyncio.sleep(_LOOK_S)
        error = room.blocked_by
        if error is not None and not place:
            place = error.place
            LOG.warning("storage_blocked", place=place, reason=error.cause)
        elif error is None and place:
            LOG.info("storage_back", place=place, after_s=round(waited_s))
            place = ""
        waited_s = room.waited_s or 0.0
