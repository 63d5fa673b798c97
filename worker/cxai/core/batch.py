"""Outcomes on their way to the ledger, gathered until a commit is worth its fsync."""

import asyncio

from cxai.core.outcome import Outcome


class Batch:
    """Gathers outcomes until they are `size` or `size_bytes`, or the first is old enough to be due.

    That age is `first_age_s` for the first batch and doubles with each one taken, up to `age_s`:
    the first record is on disk at once, and a long run syncs no more often than `age_s` asks for.
    Without `first_age_s` it is `age_s` always.

    One task takes, any number add. It may overfill to twice its size while a commit is under way;
    who adds has to wait for `room` then.
    """

    def __init__(
        self, size: int, size_bytes: int, age_s: float, first_age_s: float | None = None
    ) -> None:
        self._size = size
        self._size_bytes = size_bytes
        self._longest_s = age_s
        self._age_s = age_s if first_age_s is None else min(first_age_s, age_s)
        self._outcomes: list[Outcome] = []
        self._bytes = 0
        self._due = asyncio.Event()
        self._taken = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome for the next commit."""
        self._outcomes.append(outcome)
        self._bytes += sum(map(len, outcome.lines.values()))
        if self._is_full(1):
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._age_s, self._due.set)

    async def room(self) -> None:
        """Wait while there is twice as much as one commit takes."""
        while self._is_full(2):
            self._taken.clear()
            await self._taken.wait()

    async def take(self) -> list[Outcome]:
        """Return what is due, waiting for it; nothing when the batch is closed and empty."""
        while not (self._closed or (self._due.is_set() and self._outcomes)):
            self._due.clear()
            await self._due.wait()
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        outcomes, self._outcomes, self._bytes = self._outcomes, [], 0
        self._age_s = min(2 * self._age_s, self._longest_s)
        self._taken.set()
        return outcomes

    def flush(self) -> None:
        """Make what there is due at once: nothing more is to be expected soon."""
        if self._outcomes:
            self._due.set()

    def close(self) -> None:
        """Make what is left due at once; nothing is added any more."""
        self._closed = True
        self._due.set()

    def _is_full(self, times: int) -> bool:
        return len(self._outcomes) >= times * self._size or self._bytes >= times * self._size_bytes
