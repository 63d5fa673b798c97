"""The IDs that a run has taken in and not settled yet: waiting for a request, or for a retry."""

import asyncio
from dataclasses import dataclass, field
from itertools import count

from cxai.core.entry import Entry
from cxai.policy.policy import Standing
from cxai.policy.reply import Question, Said
from cxai.policy.verdict import Verdict


@dataclass(slots=True)
class Inquiry:
    """One ID on its way, and what it has behind it.

    A control is an ID that is asked once more, although it has its result, to tell whether the API
    answers at all. `doubted_at` is when the token was refused for this one, though not for others.

    A `suspect` has failed before, while others were answered: its failures tell nothing of the API.

    `requests` counts all requests made for it, `attempts` those that burned one of its attempts,
    `throttled` refusals by 429. `heading` is the verdict that its burned attempts lead to.
    `absent_since` is the monotonic time of the first "no result", `left_s` that of the last
    request. `looked_again` and `processed` are Standing's. `answers_before` counts the answers that
    all IDs together had got when this one was refused last. `said` is what the API said of it.
    """

    entry: Entry
    suspect: bool = False
    question: Question = Question.RESULT
    requests: int = 0
    attempts: int = 0
    throttled: int = 0
    absent_since: float | None = None
    processed: bool = False
    looked_again: bool = False
    said: Said = field(default_factory=Said)
    left_s: float = 0.0
    answers_before: int = 0
    heading: Verdict | None = None
    is_control: bool = False
    doubted_at: float | None = None

    @property
    def words(self) -> str | None:
        """What the API said last, without the ID, so that equal words count as equal."""
        words, its_id = self.said.message, self.entry.id
        if words is None:
            return None
        for spelling in (its_id, its_id.lower(), its_id.upper()):
            words = words.replace(spelling, "[id]")
        return words

    def standing(self, now: float, *, refusals: int, outage: bool, singled_out: bool) -> Standing:
        """Return what the policy has to know, the request just answered included."""
        return Standing(
            attempts=self.attempts + 1,
            throttled=max(0, refusals - 1),
            waited_s=0.0 if self.absent_since is None else now - self.absent_since,
            processed=self.processed,
            looked_again=self.looked_again,
            outage=outage,
            singled_out=singled_out,
            heading=self.heading,
        )


class Backlog:
    """A bounded room of inquiries: retries that are due go first, then new ones in order.

    Who waits for a retry holds its place in the room (that is the bound on memory), but neither a
    requester nor a connection. `capacity` is the most inquiries that are open at a time.
    """

    def __init__(self, capacity: int) -> None:
        self._room = asyncio.Semaphore(capacity)
        self._ready: asyncio.PriorityQueue[tuple[int, int, Inquiry]] = asyncio.PriorityQueue()
        self._order = count()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self.open = 0

    @property
    def waiting(self) -> int:
        """How many wait for the time of their retry."""
        return len(self._timers)

    def next_due_s(self) -> float | None:
        """Seconds until the next retry is due, None if none waits."""
        if not self._timers:
            return None
        soonest = min(timer.when() for timer in self._timers.values())
        return max(0.0, soonest - asyncio.get_running_loop().time())

    async def enter(self) -> None:
        """Take a place for one inquiry; waits while the room is full."""
        await self._room.acquire()
        self.open += 1

    def offer(self, inquiry: Inquiry) -> None:
        """Let a new inquiry be asked when its turn comes."""
        self._ready.put_nowait((1, next(self._order), inquiry))

    async def take(self) -> Inquiry:
        """Return the next inquiry that may be asked; waits for one."""
        return (await self._ready.get())[2]

    def again(self, inquiry: Inquiry, delay_s: float) -> None:
        """Offer an inquiry again, not sooner than in `delay_s` seconds, before new ones."""
        order = next(self._order)
        if delay_s <= 0:
            self._ready.put_nowait((0, order, inquiry))
            return

        def due() -> None:
            del self._timers[order]
            self._ready.put_nowait((0, order, inquiry))

        self._timers[order] = asyncio.get_running_loop().call_later(delay_s, due)

    def release(self, settled: int) -> None:
        """Give back the places of `settled` inquiries that are committed."""
        self.open -= settled
        for _ in range(settled):
            self._room.release()

    def close(self) -> None:
        """Drop what is left; it stays open for the next run."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
