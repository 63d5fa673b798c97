"""The settings of the policy, and backoff."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Times are seconds; `max_attempts` is 1 or more (1: no retries).

    `patience_s` counts from a run's first "no result", `file_patience_s` from the declaration.
    """

    max_attempts: int
    backoff_base_s: float
    backoff_cap_s: float
    retry_after_cap_s: float
    check_status: bool
    recheck_s: float
    patience_s: float
    file_patience_s: float


def backoff_s(failures: int, base_s: float, cap_s: float, draw: float) -> float:
    """Return the wait after the n-th failure in a row (from 1): exponential, capped, full jitter.

    `draw` is in [0, 1). Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return draw * min(cap_s, base_s * 2.0 ** min(failures - 1, 32))
