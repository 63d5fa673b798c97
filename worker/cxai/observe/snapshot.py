"""What can be said of a run at one moment: how far, how fast, and what it waits for."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxai.core.tally import Tally
from cxai.core.watchdog import Load, Section, Stall
from cxai.policy.verdict import Verdict

_RATE_WINDOW_S = 10.0

# Below this share of its ceiling a limit is called lowered.
_LOWERED = 0.9


@dataclass(frozen=True, slots=True)
class NoRoom:
    """A full disk: where, and for how many seconds of how many at most the run has waited.

    `lacking` says what there is no room for.
    """

    directory: str
    for_s: float
    at_most_s: float
    lacking: str = "the disk is full"

    def __str__(self) -> str:
        """Return it for people."""
        return (
            f"waiting for room in {self.directory} for {self.for_s:.0f} s,"
            f" at most {self.at_most_s:.0f} s: {self.lacking}"
        )


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the parts of a run show of themselves, at one moment.

    `paused` is how long everyone still waits and why. Of the `open` IDs that are taken in,
    `waiting` wait for a retry, of which the next is due in `next_retry_s`. `expected_lines` is
    the length of the input, None if it is not known (yet). `no_room` is set while the disk is full.
    `trouble` is how the last request failed, None if the API has answered since; `advice` says what
    to check then. `unanswered_s` is how long the API, at `api`, has not answered one request of
    this run; None once it has.
    What is allowed now may be lower than the ceilings that the settings have.
    """

    tally: Tally
    in_flight: int
    loads: Mapping[Section, Load]
    no_room: NoRoom | None
    open: int
    waiting: int
    next_retry_s: float | None
    input_ended: bool
    expected_lines: int | None
    ending: bool
    paused: tuple[float, str] | None
    outage_s: float | None
    trouble: str | None
    rate_allowed: float
    rate_ceiling: float
    in_flight_allowed: int
    in_flight_ceiling: int
    api: str = "the API"
    unanswered_s: float | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a run is. Rates are per second; `eta_s` and `total` are None while unknown.

    `done` counts IDs of this input with a verdict, `total` all distinct IDs of it (an estimate
    by lines until the input has been read).
    """

    elapsed_s: float
    done: int
    total: int | None
    verdicts: dict[str, int]
    rate_now: float
    rate_allowed: float
    in_flight: int
    eta_s: float | None
    state: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for a log line or JSON."""
        return {
            "state": self.state,
            "done": self.done,
            "total": self.total,
            **self.verdicts,
            "rate_now": round(self.rate_now, 1),
            "rate_allowed": round(self.rate_allowed, 1),
            "in_flight": self.in_flight,
            "eta_s": None if self.eta_s is None else round(self.eta_s),
            "elapsed_s": round(self.elapsed_s, 1),
        }


class Observer:
    """Takes snapshots of a run that started at `now` (monotonic seconds)."""

    def __init__(self, now: float) -> None:
        self._started = now
        self._history: deque[tuple[float, int, int]] = deque([(now, 0, 0)])

    def snapshot(self, pulse: Pulse, now: float, stall: Stall | None = None) -> Snapshot:
        """Return how far the run is at `now`, and where it is stalled."""
        tally = pulse.tally
        done = tally.verdicts.total()
        total = _total(pulse)
        requests_s, settled_s = self._rates(now, tally.requests, tally.settled_now)
        left = None if total is None else total - done
        eta_s = left / settled_s if left is not None and settled_s > 0 else None
        if eta_s is not None:
            eta_s = max(eta_s, pulse.next_retry_s or 0.0)
        return Snapshot(
            elapsed_s=now - self._started,
            done=done,
            total=total,
            verdicts={verdict.value: n for verdict, n in sorted(_shown(tally).items())},
            rate_now=requests_s,
            rate_allowed=pulse.rate_allowed,
            in_flight=pulse.in_flight,
            eta_s=eta_s,
            state=state(pulse, stall),
        )

    def _rates(self, now: float, requests: int, settled: int) -> tuple[float, float]:
        history = self._history
        while len(history) > 1 and now - history[1][0] >= _RATE_WINDOW_S:
            history.popleft()
        then, requests_then, settled_then = history[0]
        history.append((now, requests, settled))
        span = now - then
        if span <= 0:
            return 0.0, 0.0
        return (requests - requests_then) / span, (settled - settled_then) / span


def state(pulse: Pulse, stall: Stall | None = None) -> str:
    """Say what the run does, or why it waits when it waits."""
    if pulse.no_room is not None:
        return str(pulse.no_room)
    if stall is not None and stall.section is not Section.INPUT:
        return str(stall)
    if pulse.ending:
        return f"stopping: {pulse.in_flight} requests under way"
    return _of_the_api(pulse) or _of_the_work(pulse, stall)


def _of_the_api(pulse: Pulse) -> str | None:
    if pulse.unanswered_s is not None and pulse.trouble is not None and pulse.paused is None:
        return f"no answer from {pulse.api} for {pulse.unanswered_s:.0f} s ({pulse.trouble})"
    if pulse.outage_s is not None:
        why = f" ({pulse.trouble})" if pulse.trouble else ""
        return f"outage for {pulse.outage_s:.0f} s{why}: probing"
    if pulse.paused is not None:
        seconds, why = pulse.paused
        return f"paused for {_whole(seconds)} s: {why}"
    return None


def _of_the_work(pulse: Pulse, silence: Stall | None) -> str:
    if pulse.open > pulse.waiting:
        return _slowed(pulse) or "working"
    if pulse.next_retry_s is not None:
        wait = f"waiting {_whole(pulse.next_retry_s)} s"
        if pulse.waiting == 1:
            return f"{wait} to ask one ID again"
        return f"{wait} for the next of {pulse.waiting:,} IDs to be asked again"
    if pulse.input_ended:
        return "finishing"
    what = "input" if pulse.tally.lines else "the first line"
    return f"waiting for {what}" + (f" for {silence.for_s:.0f} s" if silence else "")


def _slowed(pulse: Pulse) -> str | None:
    lowered = []
    if pulse.rate_allowed < _LOWERED * pulse.rate_ceiling:
        lowered.append(f"{short(pulse.rate_allowed)} of {short(pulse.rate_ceiling, 3)} requests/s")
    if pulse.in_flight_allowed < _LOWERED * pulse.in_flight_ceiling:
        lowered.append(f"{pulse.in_flight_allowed} of {pulse.in_flight_ceiling} in flight")
    return f"slowed to {' and '.join(lowered)}: the API refuses more" if lowered else None


def short(value: float, digits: int = 2) -> str:
    """Return a figure with that many significant digits, and with all before its point."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def _whole(seconds: float) -> int:
    """Return whole seconds of a wait that is not over: never 0."""
    return max(1, math.ceil(seconds))


def _total(pulse: Pulse) -> int | None:
    tally = pulse.tally
    if pulse.input_ended:
        return tally.ids
    if pulse.expected_lines is None:
        return None
    return max(tally.ids, pulse.expected_lines - (tally.lines - tally.ids))


def _shown(tally: Tally) -> dict[Verdict, int]:
    both = tally.before + tally.now
    return dict(both)
