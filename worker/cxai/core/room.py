"""Waits for a place to write that can't be used now, such as a full disk, within bounds."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cxai.core.ports import Clock
from cxai.errors import BlockedError

T = TypeVar("T")

# A place that could not be used is tried again this often.
_LOOK_S = 2.0


class Room:
    """Repeats work that was blocked: for `patience_s` seconds, or until `ending` is set."""

    def __init__(self, clock: Clock, patience_s: float, ending: asyncio.Event) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._ending = ending
        self._blocked: dict[float, BlockedError] = {}  # since when each work waits, and for what

    @property
    def waited_s(self) -> float | None:
        """Seconds since the place could not be used, None if it can."""
        return self._clock.monotonic() - min(self._blocked) if self._blocked else None

    @property
    def blocked_by(self) -> BlockedError | None:
        """What keeps work from being done, None if nothing does."""
        return next(iter(self._blocked.values()), None)

    async def wait_for(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work`, again while it is blocked. Raises BlockedError when patience is over."""
        begun = self._clock.monotonic()
        while True:
            try:
                done = await work()
            except BlockedError as error:
                waited_s = self._clock.monotonic() - begun
                if self._ending.is_set() or waited_s >= self._patience_s:
                    raise
                self._blocked[begun] = error
            else:
                self._blocked.pop(begun, None)
                return done
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._ending.wait()
