"""The heartbeat of a worker: it shows that this worker is alive, and finds those that aren't."""

import asyncio
from collections.abc import Callable

from cxai.cluster.books import Books
from cxai.cluster.engine_errors import EngineDownError
from cxai.core.ports import Clock

_BEATS_A_TTL = 6  # after so many missed ones a worker is declared gone
_MOST_S = 2.0


class Heartbeat:
    """Sends the heartbeats of a registered worker; see Books.beat for how others are declared gone.

    `state` returns what this worker does or waits for, in words. `cause` is why the last heartbeat
    failed, empty if it didn't.
    """

    def __init__(self, books: Books, clock: Clock, ttl_s: float, state: Callable[[], str]) -> None:
        self._books = books
        self._now = clock.monotonic
        self._ttl_s = ttl_s
        self._state = state
        self._unbroken_since: float | None = None
        self._answered = 0.0
        self.cause = ""

    async def keep(self, on_gone: Callable[[int], None]) -> None:
        """Beat until it is cancelled; `on_gone` is called with how many workers were declared gone.

        Raises FencedError once others took this worker for dead.
        """
        every_s = min(_MOST_S, self._ttl_s / _BEATS_A_TTL)
        while True:
            if gone := await self._beat():
                on_gone(gone)
            await asyncio.sleep(every_s)

    async def _beat(self) -> int:
        sent = self._now()
        since = self._unbroken_since
        try:
            gone = await self._books.beat(
                self._state(), may_reap=since is not None and sent - since > self._ttl_s
            )
        except EngineDownError as error:
            self._unbroken_since, self.cause = None, error.cause
            return 0
        self.cause = ""
        answered = self._now()
        if since is None or answered - self._answered > self._ttl_s / 2:  # this machine was silent
            self._unbroken_since = answered
        self._answered = answered
        return gone
