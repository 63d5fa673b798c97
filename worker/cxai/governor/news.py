"""Wakes the one task that waits for a change, or until a time."""

import asyncio


class News:
    """An event with a timeout, for one waiting task at a time.

    Every paced request waits here once. An asyncio.Event in a timeout takes three times the CPU.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Wake the waiting task, or the next one that would wait."""
        self._is_set = True
        if self._waiter is not None:
            _wake(self._waiter)

    def clear(self) -> None:
        """Forget all news so far."""
        self._is_set = False

    async def within(self, seconds: float | None) -> None:
        """Return when there is news since `clear`, or after that many seconds; None is no limit."""
        if self._is_set:
            return
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
