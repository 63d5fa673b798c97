"""Sees which stage of a run is stuck: it holds something, and passes nothing on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
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


_SYMPTOMS: Mapping[Stage, str] = {
    Stage.COMMIT: "the disk does not take the outcomes",
    Stage.JUDGE: "replies are not processed",
    Stage.REQUESTS: "nothing comes back",
    Stage.PACE: "no request may leave",
    Stage.LOOK_UP: "the ledger does not answer",
    Stage.INPUT: "nothing comes in",
    Stage.PROCESS: "it did not run (suspended, or short of CPU or memory)",
}


@dataclass(slots=True)
class StageCounter:
    """How many a stage holds now, and how many it has ever passed on."""

    holding: int = 0
    passed: int = 0

    def enter(self, count: int = 1) -> None:
        """Note that `count` more have come."""
        self.holding += count

    def leave(self, count: int = 1) -> None:
        """Note that `count` were passed on."""
        self.holding -= count
        self.passed += count


def stage_counters() -> dict[Stage, StageCounter]:
    """Return a counter for each stage of the way, the last one first."""
    return {stage: StageCounter() for stage in Stage if stage is not Stage.PROCESS}


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing has moved in a stage for `for_s` seconds, though `holding` are in it."""

    stage: Stage
    for_s: float
    holding: int


def look_every_s(after_s: float) -> float:
    """Return how often to look so that a stall of `after_s` seconds is found in time."""
    return min(1.0, after_s / 4)


class Watchdog:
    """Looks at the counters of a run repeatedly; `after_s` seconds without a move are a stall."""

    def __init__(self, after_s: float, now: float) -> None:
        self._after_s = after_s
        self._looked = now
        self._moved: dict[Stage, tuple[int, float]] = {}

    def look(
        self, stage_counters: Mapping[Stage, StageCounter], now: float, *, slow_s: float | None
    ) -> Stall | None:
        """Return the stall that there is at `now`, None if there is none.

        If several stages are stuck it is the last one on the way: the others wait for it.
        `slow_s` is how long the pace may hold a request back, None if it rightly holds all of them.
        """
        away_s, self._looked = now - self._looked, now
        if away_s >= self._after_s:
            self._moved.clear()
            holding = sum(counter.holding for counter in stage_counters.values())
            return Stall(Stage.PROCESS, away_s, holding)
        found = None
        for stage, counter in stage_counters.items():
            passed, since = self._moved.get(stage, (-1, now))
            paces = stage is Stage.PACE
            waits = paces and (slow_s is None or stage_counters[Stage.REQUESTS].holding)
            if counter.holding == 0 or counter.passed != passed or waits:
                self._moved[stage] = (counter.passed, now)
                continue
            grace_s = slow_s if paces and slow_s else 0.0
            if found is None and now - since >= self._after_s + grace_s:
                found = Stall(stage, now - since, counter.holding)
        return found
