"""The state of a run at one moment: plain values for displays, files, logs and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cxai.core.watchdog import Stage, Stall
from cxai.policy.verdict import Verdict

_SLOWED = 0.9  # a pace below this share of its ceiling


class Kind(StrEnum):
    """What a run does, or what it waits for. The values are stable: programs read them."""

    WORKING = "working"
    SLOWED = "slowed"
    WAITING_FOR_INPUT = "waiting_for_input"
    WAITING_TO_RETRY = "waiting_to_retry"
    PAUSED = "paused"
    WAITING_FOR_OTHERS = "waiting_for_others"
    NO_ANSWER = "no_answer"
    DOUBT = "doubt"
    OUTAGE = "outage"
    DISK_FULL = "disk_full"
    UNREACHABLE = "unreachable"
    STALLED = "stalled"
    STOPPING = "stopping"
    FINISHING = "finishing"

    @property
    def is_held_up(self) -> bool:
        """Whether something keeps the run from the progress that its settings allow."""
        return self not in {Kind.WORKING, Kind.FINISHING}


@dataclass(frozen=True, slots=True)
class WorkState:
    """What a run still has to do.

    Of the `open` IDs, `waiting` wait for a retry, the next of which is due in `next_retry_s`
    seconds. `in_flight` counts requests; once it `is_stopping` they have `grace_s` seconds.
    """

    open: int = 0
    waiting: int = 0
    next_retry_s: float | None = None
    in_flight: int = 0
    input_ended: bool = False
    is_stopping: bool = False
    grace_s: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether the input has ended, and every ID of it has a verdict."""
        return self.input_ended and not self.open


@dataclass(frozen=True, slots=True)
class Pause:
    """No request is sent for another `for_s` seconds; `why` is the reason."""

    for_s: float
    why: str


@dataclass(frozen=True, slots=True)
class ApiState:
    """How the API at `url` answers, and how many requests a second it may be sent now.

    `rate` is below `rate_ceiling`, that of the settings, while the API refuses more. `down_for_s`
    is how long it has been in an outage; while that is being checked, it is `in_doubt`. `trouble`
    is how the last request failed, empty if the API has answered since; `advice` is what to check,
    in whole sentences. `unanswered_s` is how long it has not answered a single request of this run,
    None before the first. `waits_for` is what requests wait for besides rate and pause, or empty.
    """

    url: str
    rate: float
    rate_ceiling: float
    pause: Pause | None = None
    in_doubt: bool = False
    down_for_s: float | None = None
    trouble: str = ""
    advice: str = ""
    unanswered_s: float | None = None
    waits_for: str = ""

    @property
    def holds_requests_back(self) -> bool:
        """Whether requests wait as they should: for a pause to end, the API, or other workers."""
        waits = self.pause is not None or bool(self.waits_for)
        return waits or self.in_doubt or self.down_for_s is not None


@dataclass(frozen=True, slots=True)
class Blocked:
    """The run has waited `for_s` seconds, of `at_most_s` (None: no limit), for `place`."""

    place: str
    for_s: float
    at_most_s: float | None
    cause: str
    is_full: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines read and requests sent so far; `requests` includes status requests and retries."""

    lines: int = 0
    requests: int = 0
    status_requests: int = 0
    retries: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class RunState:
    """A run at the time `at` (UTC), `elapsed_s` seconds after its start.

    `done` counts the IDs of this input that have a verdict, `total` all distinct ones: an estimate
    until the input has been read, None while even that is unknown. `verdicts` also counts invalid
    lines. `requests_per_s` is the pace of the last seconds; `eta_s` is how long the rest takes at
    the pace of the last verdicts, None while there are none.
    """

    at: datetime
    elapsed_s: float
    done: int
    total: int | None
    verdicts: Mapping[Verdict, int]
    counts: Counts
    requests_per_s: float
    eta_s: float | None
    work: WorkState
    api: ApiState
    stall: Stall | None = None
    blocked: Blocked | None = None

    @property
    def kind(self) -> Kind:
        """What the run does or waits for; of several reasons, the one that holds it up."""
        if self.blocked is not None:
            return Kind.DISK_FULL if self.blocked.is_full else Kind.UNREACHABLE
        if self.stall is not None and self.stall.stage is not Stage.INPUT:
            return Kind.STALLED
        if self.work.is_stopping and not self.work.is_done:
            return Kind.STOPPING
        return self._of_the_api() or self._of_the_work()

    def _of_the_api(self) -> Kind | None:
        api = self.api
        if api.unanswered_s is not None and api.trouble and api.pause is None:
            return Kind.NO_ANSWER
        if api.down_for_s is not None:
            return Kind.OUTAGE
        if api.in_doubt:
            return Kind.DOUBT
        if api.pause is not None:
            return Kind.PAUSED
        return Kind.WAITING_FOR_OTHERS if api.waits_for else None

    def _of_the_work(self) -> Kind:
        work = self.work
        if work.open > work.waiting:
            is_slowed = self.api.rate < _SLOWED * self.api.rate_ceiling
            return Kind.SLOWED if is_slowed else Kind.WORKING
        if work.next_retry_s is not None:
            return Kind.WAITING_TO_RETRY
        return Kind.FINISHING if work.input_ended else Kind.WAITING_FOR_INPUT
