"""Samples a run while it goes, and hands its state and its events to the observers."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from cxai.core.events import Event, EventStream
from cxai.core.ports import Clock, Observer
from cxai.core.run_state import ApiState, Blocked, Counts, RunState, WorkState
from cxai.core.tally import Tally
from cxai.core.watchdog import Stage, StageCounter, Stall, Watchdog, look_every_s
from cxai.observe.changes import StateChanges

_RATE_WINDOW_S = 10.0

# An observer that hangs as it is closed would keep the run from ending.
_CLOSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The parts of a run at one moment.

    `expected_lines` is the length of the input, None if it is not known (yet). `blocked` is set
    while storage can't be used. `tally` and `stage_counters` are the run's own and keep changing.
    """

    tally: Tally
    stage_counters: Mapping[Stage, StageCounter]
    work: WorkState
    api: ApiState
    expected_lines: int | None = None
    blocked: Blocked | None = None


class RateEstimator:
    """The rates of requests and verdicts over the last ten seconds."""

    def __init__(self, now: float) -> None:
        self._history: deque[tuple[float, int, int]] = deque([(now, 0, 0)])

    def rates(self, now: float, requests: int, completed: int) -> tuple[float, float]:
        """Return requests and completed IDs per second, given their totals at `now`."""
        while len(self._history) > 1 and now - self._history[1][0] >= _RATE_WINDOW_S:
            self._history.popleft()
        then, requests_then, completed_then = self._history[0]
        self._history.append((now, requests, completed))
        span = now - then
        if span <= 0:
            return 0.0, 0.0
        return (requests - requests_then) / span, (completed - completed_then) / span


class RunMonitor:
    """While it is entered, samples a run and shows its state and its events to `observers`.

    `sample` returns the parts of the run now. A stage at which nothing moves for `stalled_after_s`
    seconds is named in the state. What follows from the state is emitted to `events`
    (changes.py), and so is the first failure of each observer, by its name. `report` is what they
    are closed with.
    """

    def __init__(
        self,
        sample: Callable[[], Sample],
        observers: Mapping[str, Observer],
        clock: Clock,
        stalled_after_s: float,
        events: EventStream,
    ) -> None:
        self._sample = sample
        self._observers = observers
        self._clock = clock
        self._events = events
        self._changes = StateChanges(events.emit)
        self._started = clock.monotonic()
        self._stopping_since: float | None = None
        self._look_every_s = look_every_s(stalled_after_s)
        self._watchdog = Watchdog(stalled_after_s, self._started)
        self._pace = RateEstimator(self._started)
        self._due = dict.fromkeys(observers, self._started)
        self._failing: set[str] = set()
        self.report: Mapping[str, Any] | None = None

    async def __aenter__(self) -> Self:
        self._events.attach(self._see)
        self._task = asyncio.create_task(self._watch(), name="monitor")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        self._changes.note(last := self.look())
        self._events.detach(self._see)
        for name, observer in self._observers.items():
            with self._noting_failure(name):
                async with asyncio.timeout(_CLOSE_S):
                    await observer.close(last, self.report)

    def look(self) -> RunState:
        """Return the state of the run now."""
        sample, now = self._sample(), self._clock.monotonic()
        tally = sample.tally
        done, total = tally.verdicts.total(), _total(sample)
        requests_s, completed_s = self._pace.rates(now, tally.requests, tally.settled_now)
        eta_s = None
        if total is not None and completed_s > 0:
            eta_s = max((total - done) / completed_s, sample.work.next_retry_s or 0.0)
        return RunState(
            at=self._clock.utc(),
            elapsed_s=now - self._started,
            done=done,
            total=total,
            verdicts=tally.before + tally.now,
            counts=Counts(
                tally.lines, tally.requests, tally.status_requests, tally.retries, tally.throttled
            ),
            requests_per_s=requests_s,
            eta_s=eta_s,
            work=self._with_grace_left(sample.work, now),
            api=sample.api,
            stall=self._stall(sample, now),
            blocked=sample.blocked,
        )

    async def _watch(self) -> None:
        while True:
            self._changes.note(state := self.look())
            now = self._clock.monotonic()
            for name, observer in self._observers.items():
                if self._due[name] <= now:
                    self._due[name] = now + self._look_every_s  # if it has no interval
                    with self._noting_failure(name):
                        self._due[name] = now + observer.interval_s
                        observer.observe(state)
            next_look = min([now + self._look_every_s, *self._due.values()])
            await asyncio.sleep(next_look - self._clock.monotonic())

    def _see(self, event: Event) -> None:
        for name, observer in self._observers.items():
            with self._noting_failure(name):
                observer.see(event)

    def _with_grace_left(self, work: WorkState, now: float) -> WorkState:
        if not work.is_stopping:
            return work
        if self._stopping_since is None:
            self._stopping_since = now
        return replace(work, grace_s=max(0.0, work.grace_s - (now - self._stopping_since)))

    def _stall(self, sample: Sample, now: float) -> Stall | None:
        slow_s = None if sample.api.holds_requests_back else 2 / sample.api.rate
        return self._watchdog.look(sample.stage_counters, now, slow_s=slow_s)

    @contextmanager
    def _noting_failure(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the run continues
            if name not in self._failing:
                self._failing.add(name)
                reason = f"{type(error).__name__}: {error}".removesuffix(": ")
                self._events.emit("observer_failed", observer=name, reason=reason)


def _total(sample: Sample) -> int | None:
    tally = sample.tally
    if sample.work.input_ended:
        return tally.ids
    if sample.expected_lines is None:
        return None
    return max(tally.ids, sample.expected_lines - (tally.lines - tally.ids))
