"""What a simulated API is like: its limits, its speed, the shares of IDs with a trouble."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is the matter with an ID. Each but `ok` has its share in a Scenario, by this name."""

    OK = "ok"
    MISSING = "missing"
    PROCESSING = "processing"
    FAILED = "failed"
    THROTTLED = "throttled"
    ERRING = "erring"
    SLOW = "slow"
    CORRUPT = "corrupt"
    BROKEN = "broken"
    GARBLED = "garbled"


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
    - `latency_s`: seconds from request to response, from 0; 401 and 429 come at once.

    Shares of the IDs, from 0 to 1, together at most 1; an ID has one trouble at most. "Request" is
    one for the result here; /status always tells the truth, at once.

    - `missing`: no such interaction, neither result nor status (404).
    - `processing`: no result (404) before /status was asked `processing_looks` times (from 1).
    - `failed`: never a result (404), and the status `processingFailed`.
    - `throttled`: the first request gets 429 with `Retry-After: 1`.
    - `erring`: the first request or the first two get 500, 502, 503 or 504.
    - `slow`: each response with a result takes `slow_s` (seconds, from 0) longer.
    - `corrupt`: the first response is cut short inside of its content coding, and its
      Content-Length agrees with that: only a decoder that waits for the end can notice.
    - `broken`: 500, always.
    - `garbled`: 200 with HTML, always.
    """

    seed: int = 1
    rate: float | None = None
    in_flight: int | None = None
    latency_s: float = 0.0

    missing: float = 0.0
    processing: float = 0.0
    failed: float = 0.0
    throttled: float = 0.0
    erring: float = 0.0
    slow: float = 0.0
    corrupt: float = 0.0
    broken: float = 0.0
    garbled: float = 0.0

    processing_looks: int = 2
    slow_s: float = 1.0

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ValueError(f"rate is {self.rate}, but has to be above 0 requests per second.")
        if self.in_flight is not None and self.in_flight < 1:
            raise ValueError(f"in_flight is {self.in_flight}, but has to be 1 or more.")
        if self.processing_looks < 1:
            raise ValueError(
                f"processing_looks is {self.processing_looks}, but has to be 1 or more."
            )
        for name, seconds in (("latency_s", self.latency_s), ("slow_s", self.slow_s)):
            if not 0 <= seconds < math.inf:
                raise ValueError(f"{name} is {seconds}, but has to be 0 seconds or more.")
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
