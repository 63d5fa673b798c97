"""Outcomes that wait for a commit, batched so that each fsync is worth it."""

import asyncio

from cxai.core.entry import Outcome


class Batch:
    """Collects outcomes until there are `size` or `size_bytes` of them, or the first is due by age.

    That age doubles with each batch from `first_age_s`, if given, up to `age_s`: the first record
    is on disk early, and a long run syncs no more often than every `age_s`. One task takes, any
    number add. During a commit it may fill to twice its size; an adding task waits for `space`.
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
        """Add an outcome to the next commit."""
        self._outcomes.append(outcome)
        self._bytes += sum(map(len, outcome.lines.values()))
        if self._is_full(1):
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._age_s, self._due.set)

    async def space(self) -> None:
        """Wait while the batch has twice its size."""
        while self._is_full(2):
            self._taken.clear()
            await self._taken.wait()

    async def take(self) -> list[Outcome]:
        """Wait until the batch is due and return it; empty once the batch is closed and empty."""
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
        """Make all outcomes due now: no more are expected soon."""
        if self._outcomes:
            self._due.set()

    def close(self) -> None:
        """Make the last outcomes due now; nothing may be added afterwards."""
        self._closed = True
        self._due.set()

    def _is_full(self, times: int) -> bool:
        return len(self._outcomes) >= times * self._size or self._bytes >= times * self._size_bytes
