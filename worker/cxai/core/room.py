"""Waits for room on a full disk, within bounds."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cxai.core.ports import Clock
from cxai.errors import DiskFullError

T = TypeVar("T")

# A full disk is tried again this often.
_LOOK_S = 2.0


class Room:
    """Repeats work that met a full disk: for `patience_s` seconds, or until `ending` is set."""

    def __init__(self, clock: Clock, patience_s: float, ending: asyncio.Event) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._ending = ending
        self._lacking: dict[float, str] = {}  # since when each work waits, and for what

    @property
    def waited_s(self) -> float | None:
        """Seconds since the disk was found full, None if it isn't."""
        return self._clock.monotonic() - min(self._lacking) if self._lacking else None

    @property
    def lacking(self) -> str:
        """What the disk has run out of; empty if nothing."""
        return next(iter(self._lacking.values()), "")

    async def wait_for(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work`, again while the disk is full. Raises DiskFullError when patience is over."""
        begun = self._clock.monotonic()
        while True:
            try:
                done = await work()
            except DiskFullError as error:
                waited_s = self._clock.monotonic() - begun
                if self._ending.is_set() or waited_s >= self._patience_s:
                    raise
                self._lacking[begun] = error.lacking
            else:
                self._lacking.pop(begun, None)
                return done
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._ending.wait()
