"""The open IDs of a run: those that wait for their request, or for a retry."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cxai.core.entry import Entry
from cxai.policy.reply import Endpoint
from cxai.policy.step import Job

NEW = Job()


@dataclass(slots=True, eq=False)
class Item:
    """One open ID.

    `job` is its state, `certain` the same with only those failures that are charged to it.
    `requests` counts all its requests; `endpoint` is that of the last, `left_s` its monotonic time.
    A canary was answered before, and is requested again to see whether the API answers.
    """

    entry: Entry
    job: Job = NEW
    certain: Job = NEW
    requests: int = 0
    endpoint: Endpoint = Endpoint.RESULT
    left_s: float = 0.0
    is_canary: bool = False


class Backlog:
    """A bounded queue of items: due retries first, then new items, each in order.

    An item that waits for a retry keeps its place, but neither a requester nor a connection. At
    most `capacity` items are open. `on_ready` is called when one may be taken.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._freed = asyncio.Event()
        self._due: deque[Item] = deque()
        self._new: deque[Item] = deque()
        # With its due time: uvloop's handle of a timer below half a millisecond has none.
        self._timers: dict[Item, tuple[float, asyncio.Handle]] = {}
        self.open = 0
        self.on_ready: Callable[[], None] = lambda: None

    @property
    def ready(self) -> int:
        """Number of items that may be taken now."""
        return len(self._due) + len(self._new)

    @property
    def has_other(self) -> bool:
        """Whether an item that has not failed may be taken."""
        return bool(self._new)

    @property
    def waiting(self) -> int:
        """Number of items that wait for their retry."""
        return len(self._timers)

    def next_due_s(self) -> float | None:
        """Seconds until the next retry is due, None if none waits."""
        if not self._timers:
            return None
        soonest = min(due_s for due_s, _ in self._timers.values())
        return max(0.0, soonest - asyncio.get_running_loop().time())

    async def enter(self, most: int) -> int:
        """Reserve places for up to `most` new items; return how many.

        Waits while the backlog is full; only one task enters.
        """
        while self.open >= self.capacity:
            self._freed.clear()
            await self._freed.wait()
        taken = min(most, self.capacity - self.open)
        self.open += taken
        return taken

    def offer(self, items: Iterable[Item]) -> None:
        """Queue new items, in this order."""
        self._new.extend(items)
        self.on_ready()

    def take(self) -> Item:
        """Return the next item; there must be one."""
        return self._due.popleft() if self._due else self._new.popleft()

    def take_other(self) -> Item | None:
        """Return an item that has not failed, None if there is none.

        It is the last, since IDs that fail alike are often adjacent (of one age, from one origin).
        """
        return self._new.pop() if self._new else None

    def requeue(self, item: Item, delay_s: float, *, behind: int = 0) -> None:
        """Queue an item again, not sooner than in `delay_s` seconds.

        It goes before new items, or `behind` that many of them.
        """
        if delay_s <= 0:
            self._be_due(item, behind)
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(delay_s, self._be_due, item, behind)
        self._timers[item] = loop.time() + delay_s, timer

    def release(self, settled: int) -> None:
        """Free the places of `settled` items, which are committed."""
        self.open -= settled
        self._freed.set()

    def close(self) -> None:
        """Cancel all retries; those items stay open for the next run."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _be_due(self, item: Item, behind: int) -> None:
        self._timers.pop(item, None)
        if behind:
            self._new.insert(min(behind, len(self._new)), item)
        else:
            self._due.append(item)
        self.on_ready()
