"""The ages of open parts: how long their rows have waited for a sealed part."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from cxai.core.ports import Clock


class PartAges:
    """The age of each set's open part, and which are old enough to be sealed.

    A part is old `part_every_s` seconds after its first row; None means never. `begun` has, as
    text, when the parts that an earlier run left open got their first rows. That is wall-clock
    time: if it is in the future, the age begins now.
    """

    def __init__(self, part_every_s: float | None, clock: Clock, begun: Mapping[str, str]) -> None:
        self._part_every_s = math.inf if part_every_s is None else part_every_s
        self._clock = clock
        now, utc = clock.monotonic(), clock.utc()
        self._since = {
            name: now - max(0.0, (utc - datetime.fromisoformat(at)).total_seconds())
            for name, at in begun.items()
        }

    def begin(self, sets: Iterable[str]) -> None:
        """Start the age of the open parts of these sets, which have rows now."""
        now = self._clock.monotonic()
        for name in sets:
            self._since.setdefault(name, now)

    def end(self, sets: Iterable[str]) -> None:
        """Reset the ages of these sets: their parts are sealed, the next ones empty."""
        for name in sets:
            self._since.pop(name, None)

    def are_old(self, sets: Iterable[str]) -> bool:
        """Whether the part of one of these sets is old."""
        return min(map(self._left_s, sets)) <= 0

    def next_s(self) -> float:
        """Return the seconds until the next part is old."""
        return min(map(self._left_s, self._since), default=self._part_every_s)

    def _left_s(self, name: str) -> float:
        since = self._since.get(name)
        if since is None:
            return self._part_every_s
        return since + self._part_every_s - self._clock.monotonic()
