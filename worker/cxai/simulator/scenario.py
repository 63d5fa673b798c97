"""What a simulated API is like: its limits, its speed, the shares of IDs with a trouble."""

import math
from dataclasses import dataclass
from enum import StrEnum

from cxai.simulator.fault import Fault


class Kind(StrEnum):
    """What is the matter with an ID. Each but `ok` has its share in a Scenario, by this name."""

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


TROUBLES = tuple(kind for kind in Kind if kind is not Kind.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The simulated API's properties. Raises ValueError, naming the field, if one is out of range.

    Whole API, as its clients together see it:

    - `seed`: any integer; another seed gives every ID another fate and another body.
    - `rate`: requests per second allowed in any sliding second, above 0, None for no limit. What
      is beyond gets 429 with `Retry-After: 1`; refused requests don't count against the rate.
      Where it isn't whole, `floor(rate)` requests, at least 1, are allowed in any `that / rate`
      seconds.
    - `in_flight`: requests allowed at the same time, from 1, None for no limit. What is beyond
      gets 429. Without latency each request is answered before the next, and the limit never met.
    - `latency_s`: seconds from request to response, from 0; refusals come at once.
    - `outage_s`: seconds, from 0, that the API is down after each `outage_every_s` seconds (above
      0) of being up, beginning with up: 503 for all, or with `outage_drops` connections that close
      without a reply. 0 for no outages.
    - `token_after`: requests, from 1, that the token is good for; then another one is (see
      Simulator), and the old one gets 401. None for no change.

    Shares of the IDs, from 0 to 1, together at most 1; an ID has one trouble at most. "Request" is
    one for the result here; /status always tells the truth, at once.

    - `missing`: no such interaction, neither result nor status (404).
    - `processing`: no result (404) before /status was asked `processing_looks` times (from 1); it
      goes through the states on the way to `processed` meanwhile, at least the last ones.
    - `abandoned`: never a result (404), and a status from three days ago that waits for the file.
    - `failed`: never a result (404), and a status that says what failed.
    - `throttled`: the first request gets 429 with `Retry-After: 1`.
    - `erring`: the first request or the first two get 500, 502, 503 or 504.
    - `slow`: each response with a result takes `slow_s` (seconds, from 0) longer.
    - `corrupt`: the first response is cut short inside of its content coding, and its
      Content-Length agrees with that: only a decoder that waits for the end can notice.
    - `broken`: 500, always.
    - `garbled`: 200 with HTML, always.
    - `faulty`: one of `faults` (all of them by default), in the first `fault_lasts` responses (from
      1), None for always.
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
            raise ValueError(f"rate is {self.rate}, but has to be above 0 requests per second.")
        if not self.faults:
            raise ValueError("faults are none, but have to be one or more.")
        self._check_counts()
        self._check_times()
        self._check_shares()

    def _check_counts(self) -> None:
        for name in ("in_flight", "processing_looks", "token_after", "fault_lasts"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ValueError(f"{name} is {count}, but has to be 1 or more.")

    def _check_times(self) -> None:
        for name in ("latency_s", "slow_s", "outage_s"):
            seconds = getattr(self, name)
            if not 0 <= seconds < math.inf:
                raise ValueError(f"{name} is {seconds}, but has to be 0 seconds or more.")
        if not 0 < self.outage_every_s < math.inf:
            raise ValueError(
                f"outage_every_s is {self.outage_every_s}, but has to be above 0 seconds."
            )

    def _check_shares(self) -> None:
        for kind in TROUBLES:
            if not 0 <= self.share(kind) <= 1:
                raise ValueError(f"{kind} is {self.share(kind)}, but a share is from 0 to 1.")
        if (total := math.fsum(map(self.share, TROUBLES))) > 1:
            named = " + ".join(kind for kind in TROUBLES if self.share(kind))
            raise ValueError(f"{named} is {total}, but shares together are 1 at most.")

    def share(self, kind: Kind) -> float:
        """Return the share of IDs with this trouble; `kind` is any but `ok`."""
        share: float = getattr(self, kind)
        return share

    def is_down(self, age_s: float) -> bool:
        """Tell whether there is an outage `age_s` seconds after the API has come up."""
        return age_s % (self.outage_every_s + self.outage_s) >= self.outage_every_s
