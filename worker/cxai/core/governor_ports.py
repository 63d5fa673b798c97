"""The ports that decide when a request leaves: the governor, and its rate limiter."""

from collections.abc import Callable, Sequence
from typing import Protocol

from cxai.core.backlog import Item
from cxai.core.entry import Entry
from cxai.errors import CxaiError
from cxai.policy.reply import ParsedReply, Record
from cxai.policy.step import Ask, Settle
from cxai.policy.table import Signal


class Governor(Protocol):
    """Decides which request leaves next and when, and whether a failure is the API's or an ID's."""

    def begin(self, stop: Callable[[CxaiError], None]) -> None:
        """Begin a run; `stop` ends it early."""

    async def next_to_leave(self) -> Item:
        """Return the next item once its request may leave; pass its reply to `learn`."""

    def refused_rounds(self, item: Item) -> int:
        """Return how many rounds of refusals by a limit came before this item's request."""

    def requeue(self, item: Item, ask: Ask, signal: Signal) -> None:
        """Queue another request for an item, as soon as policy, limit and retry budget allow."""

    def hold_back(self, item: Item, verdict: Settle) -> None:
        """Hold back a verdict that is not based on an answer: the failure may be the API's."""

    def learn(self, item: Item, seen: ParsedReply, signal: Signal) -> Sequence[tuple[Item, Settle]]:
        """Note the reply for an item; return the verdicts that are no longer held back."""

    @property
    def is_calm(self) -> bool:
        """Whether the API is up and no failure is held against an item."""

    def learn_results(self, results: Sequence[tuple[Item, Record]]) -> None:
        """Do as `learn` does, for results of items that are no canaries. Only while `is_calm`."""

    def note_answered(self, entry: Entry) -> None:
        """Note an ID whose result an earlier run has."""

    def input_ended(self) -> None:
        """Note that there will be no more new items."""

    def rest(self) -> None:
        """Note that nothing waits for the API, for now or at the end."""


class Limiter(Protocol):
    """The rate of requests. One caller at a time acquires."""

    async def acquire(self, is_wanted: Callable[[], bool]) -> bool:
        """Return True once one request may leave; False, using no slot, if it isn't wanted."""

    def learn(self, signal: Signal, left_s: float) -> None:
        """Adapt to the reply to a request that left at `left_s` (monotonic)."""

    def learn_answers(self, left_s: Sequence[float]) -> None:
        """Do as `learn` does, for answers to requests that left at these times, in this order."""

    def note_overload(self, left_s: float) -> None:
        """Note an overload that was no outage; many of them among the answers indicate a limit."""

    def restore(self) -> None:
        """Undo reductions since the last answer: only single IDs were refused."""

    def pause(self, seconds: float, why: str) -> None:
        """Let nothing leave for `seconds` from now; never shortens a pause."""
