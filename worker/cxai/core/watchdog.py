"""Sees which stage of a run is stuck: it holds something, and passes nothing on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Section(StrEnum):
    """A stage of an ID's life in a run, the last one first; or the process as a whole."""

    COMMIT = "commit"
    JUDGE = "judge"
    REQUESTS = "requests"
    PACE = "pace"
    LOOK_UP = "look-up"
    INPUT = "input"
    PROCESS = "process"

    @property
    def symptom(self) -> str:
        """What it looks like if nothing moves there."""
        return _SYMPTOMS[self]


_SYMPTOMS: Mapping[Section, str] = {
    Section.COMMIT: "the disk does not take the outcomes",
    Section.JUDGE: "replies are not processed",
    Section.REQUESTS: "nothing comes back",
    Section.PACE: "no request may leave",
    Section.LOOK_UP: "the ledger does not answer",
    Section.INPUT: "nothing comes in",
    Section.PROCESS: "it did not run (suspended, or short of CPU or memory)",
}


@dataclass(slots=True)
class Load:
    """How many a section holds now, and how many it has ever passed on."""

    holding: int = 0
    passed: int = 0

    def enter(self, count: int = 1) -> None:
        """Note that `count` more have come."""
        self.holding += count

    def leave(self, count: int = 1) -> None:
        """Note that `count` were passed on."""
        self.holding -= count
        self.passed += count


def loads() -> dict[Section, Load]:
    """Return a load for each section of the way, the last one first."""
    return {section: Load() for section in Section if section is not Section.PROCESS}


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing has moved in a section for `for_s` seconds, though `holding` are in it."""

    section: Section
    for_s: float
    holding: int


def look_every_s(after_s: float) -> float:
    """Return how often to look so that a stall of `after_s` seconds is found in time."""
    return min(1.0, after_s / 4)


class Watchdog:
    """Looks at the loads of a run again and again; `after_s` seconds without a move are a stall."""

    def __init__(self, after_s: float, now: float) -> None:
        self._after_s = after_s
        self._looked = now
        self._moved: dict[Section, tuple[int, float]] = {}

    def look(
        self, loads: Mapping[Section, Load], now: float, *, slow_s: float | None
    ) -> Stall | None:
        """Return the stall that there is at `now`, None if there is none.

        If several sections are stuck it is the last one on the way: the others wait for it.
        `slow_s` is how long the pace may take by itself, None if it rightly lets nobody leave.
        """
        away_s, self._looked = now - self._looked, now
        if away_s >= self._after_s:
            self._moved.clear()
            return Stall(Section.PROCESS, away_s, sum(load.holding for load in loads.values()))
        found = None
        for section, load in loads.items():
            passed, since = self._moved.get(section, (-1, now))
            waits = section is Section.PACE and (slow_s is None or loads[Section.REQUESTS].holding)
            if load.holding == 0 or load.passed != passed or waits:
                self._moved[section] = (load.passed, now)
                continue
            grace_s = slow_s or 0.0 if section is Section.PACE else 0.0
            if found is None and now - since >= self._after_s + grace_s:
                found = Stall(section, now - since, load.holding)
        return found
