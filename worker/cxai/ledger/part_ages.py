"""How long rows have waited in open parts for the final names of these."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime

from cxai.core.ports import Clock


class PartAges:
    """Since when the open part of each set has rows, and which are old enough to be sealed.

    A part is old `part_every_s` seconds after its first row; None is never. `begun` says, as text,
    when those that an earlier run has left open got their first rows. That is wall-clock time: if
    it lies in the future, the part begins now.
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
        """Note that the open parts of these sets have rows."""
        now = self._clock.monotonic()
        for name in sets:
            self._since.setdefault(name, now)

    def end(self, sets: Iterable[str]) -> None:
        """Note that the parts of these sets are sealed, and those behind them are empty."""
        for name in sets:
            self._since.pop(name, None)

    def are_old(self, sets: Iterable[str]) -> bool:
        """Whether the part of one of these sets is old."""
        return min(map(self._left_s, sets)) <= 0

    def next_s(self) -> float:
        """Return in how many seconds a part will be old, at the earliest."""
        return min(map(self._left_s, self._since), default=self._part_every_s)

    def _left_s(self, name: str) -> float:
        since = self._since.get(name)
        if since is None:
            return self._part_every_s
        return since + self._part_every_s - self._clock.monotonic()
