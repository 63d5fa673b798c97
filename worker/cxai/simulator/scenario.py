"""What a simulated API is like: its limits, its speed, and the shares of IDs with a problem."""

import math
from dataclasses import dataclass
from enum import StrEnum

from cxai.simulator.faults import Fault


class Kind(StrEnum):
    """The problem of an ID. Each but `ok` has its share in a Scenario, in the field of its name."""

    OK = "ok"
    MISSING = "missing"
    PROCESSING = "processing"
    ABANDONED = "abandoned"
    FAILED = "failed"
    THROTTLED = "throttled"
    ERRING = "erring"
    SLOW = "slow"
    CORRUPT = "corrupt"
    BROKEN = "broken"
    GARBLED = "garbled"
    FAULTY = "faulty"


PROBLEMS = tuple(kind for kind in Kind if kind is not Kind.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The simulated API's properties. Raises ValueError, naming the field, if one is out of range.

    For all clients together:

    - `seed`: any integer; another seed gives every ID another behaviour and another result.
    - `rate`: requests per second allowed in any sliding second, above 0; None for no limit. Others
      get 429 with `Retry-After: 1`, and don't count. A fractional rate allows `floor(rate)`
      requests, at least 1, in any `that / rate` seconds.
    - `in_flight`: requests allowed at the same time, from 1; None for no limit. Others get 429.
      It needs latency: else no two requests overlap.
    - `latency_s`: seconds from request to response, from 0; refusals are immediate.
    - `outage_s`: seconds, from 0, that the API is down after every `outage_every_s` seconds (above
      0) of being up: 503 for every request, or, with `outage_drops`, a connection that closes
      without a response. 0 for no outages.
    - `token_after`: requests, from 1, that the first token is good for; then it gets 401, and
      Simulator.next_token is accepted. None for no change.

    Shares of the IDs, from 0 to 1, together at most 1: each ID has one problem at most. "Request"
    is one for the result; /status is always right.

    - `missing`: no such interaction, neither result nor status (404).
    - `processing`: no result (404) until /status was requested `processing_looks` times (from 1);
      meanwhile the status goes through the last states before `processed`.
    - `abandoned`: never a result (404); the status has been waiting for a file for three days.
    - `failed`: never a result (404); the status gives the error.
    - `throttled`: the first request gets 429 with `Retry-After: 1`.
    - `erring`: the first request or the first two get 500, 502, 503 or 504.
    - `slow`: each response with a result takes `slow_s` (seconds, from 0) longer.
    - `corrupt`: the first response is truncated inside its content coding, with a Content-Length
      that agrees: only a decoder that checks for the end notices.
    - `broken`: 500, always.
    - `garbled`: 200 with HTML, always.
    - `faulty`: one of `faults` (any by default) in the first `fault_lasts` responses (from 1);
      None for all.
    """

    seed: int = 1
    rate: float | None = None
    in_flight: int | None = None
    latency_s: float = 0.0
    outage_s: float = 0.0
    outage_every_s: float = 20.0
    outage_drops: bool = False
    token_after: int | None = None

    missing: float = 0.0
    processing: float = 0.0
    abandoned: float = 0.0
    failed: float = 0.0
    throttled: float = 0.0
    erring: float = 0.0
    slow: float = 0.0
    corrupt: float = 0.0
    broken: float = 0.0
    garbled: float = 0.0
    faulty: float = 0.0

    processing_looks: int = 2
    slow_s: float = 1.0
    faults: tuple[Fault, ...] = tuple(Fault)
    fault_lasts: int | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ValueError(f"rate is {self.rate}, but must be above 0 requests per second.")
        if not self.faults:
            raise ValueError("faults is empty, but must hold at least one.")
        for name in ("in_flight", "processing_looks", "token_after", "fault_lasts"):
            if (count := getattr(self, name)) is not None and count < 1:
                raise ValueError(f"{name} is {count}, but must be 1 or more.")
        for name in ("latency_s", "slow_s", "outage_s"):
            if not 0 <= (seconds := getattr(self, name)) < math.inf:
                raise ValueError(f"{name} is {seconds}, but must be 0 seconds or more.")
        if not 0 < (every_s := self.outage_every_s) < math.inf:
            raise ValueError(f"outage_every_s is {every_s}, but must be above 0 seconds.")
        self._check_shares()

    def _check_shares(self) -> None:
        for kind in PROBLEMS:
            if not 0 <= self.share(kind) <= 1:
                raise ValueError(f"{kind} is {self.share(kind)}, but must be from 0 to 1.")
        if (total := math.fsum(map(self.share, PROBLEMS))) > 1:
            named = " + ".join(kind for kind in PROBLEMS if self.share(kind))
            raise ValueError(f"{named} is {total}, but all shares together must be at most 1.")

    def share(self, kind: Kind) -> float:
        """Return the share of IDs with this problem; `kind` is any but `ok`."""
        share: float = getattr(self, kind)
        return share

    def is_down(self, age_s: float) -> bool:
        """Whether the API is down `age_s` seconds after its start."""
        return age_s % (self.outage_every_s + self.outage_s) >= self.outage_every_s
