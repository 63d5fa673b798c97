"""Failures that are held against items until it is known whether they are the API's own."""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


@dataclass(slots=True)
class Held(Generic[Item]):
    """What is held against an item: failures by kind, and whether a limit has refused it.

    Its last request left at `since`; `answers` had come when the limit refused it.
    """

    item: Item
    since: float
    kinds: Counter[str] = field(default_factory=Counter)
    is_throttled: bool = False
    answers: int = 0


class HeldFailures(dict[Item, Held[Item]]):
    """What is held against each item, in the order in which the items first failed."""

    def hold(self, item: Item | None, since: float, kind: str = "") -> Held[Item] | None:
        """Hold a failure of this kind against an item; nothing if there is no item."""
        if item is None:
            return None
        held = self.setdefault(item, Held(item, since))
        held.since = max(held.since, since)
        if kind:
            held.kinds[kind] += 1
        return held

    def last_kind(self) -> str:
        """Return how the item whose request left last has failed; empty if a limit refused it."""
        latest = max(self.values(), key=lambda held: held.since)
        return next(iter(latest.kinds), "")

    def take(self, items: list[Item]) -> list[Held[Item]]:
        """Remove and return what is held against these items."""
        return [self.pop(item) for item in items]

    def take_all(self) -> list[Held[Item]]:
        """Remove and return what is held against all items."""
        return self.take(list(self))

    def take_answered(self, left_at: float, most_answers: int) -> list[Held[Item]]:
        """Remove and return what an answer to a request that left at `left_at` confirms.

        That is what left before it; if refused by a limit, only with at most `most_answers` then.
        """
        before = [held for held in self.values() if held.since < left_at]
        return self.take(
            [h.item for h in before if not h.is_throttled or h.answers <= most_answers]
        )
