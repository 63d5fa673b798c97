"""Waits, within bounds, for a place to write that is blocked, such as a full disk."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cxai.core.ports import Clock
from cxai.errors import BlockedError

T = TypeVar("T")

_LOOK_S = 2.0  # until a blocked place is tried again


class Room:
    """Repeats blocked work for `patience_s` seconds, or until `ending` is set."""

    def __init__(self, clock: Clock, patience_s: float, ending: asyncio.Event) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._ending = ending
        self._blocked: dict[float, BlockedError] = {}  # by the time since which work waits

    @property
    def waited_s(self) -> float | None:
        """Seconds since work was first blocked, None if none is."""
        return self._clock.monotonic() - min(self._blocked) if self._blocked else None

    @property
    def blocked_by(self) -> BlockedError | None:
        """The error that blocks work, None if none does."""
        return next(iter(self._blocked.values()), None)

    async def wait_for(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work`, repeating it while it is blocked. Raises BlockedError after `patience_s`."""
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
