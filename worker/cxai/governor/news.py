"""Wakes the one task that waits for something to change, or for a moment to come."""

import asyncio


class News:
    """Something that may have changed, and that one task at a time waits for.

    An asyncio.Event within an asyncio.timeout does the same, for three times the CPU: when the time
    is up it cancels its task, and catches that again. Each paced request waits here once.
    """

    def __init__(self) -> None:
        self._is_there = False
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Wake the task that waits, or the next that would."""
        self._is_there = True
        if self._waiter is not None:
            _wake(self._waiter)

    def clear(self) -> None:
        """Forget what has changed until now."""
        self._is_there = False

    async def within(self, seconds: float | None) -> None:
        """Return when there is news since `clear`, or after that many seconds; None is no limit."""
        if self._is_there:
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
