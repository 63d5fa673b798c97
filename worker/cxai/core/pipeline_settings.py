"""How much a run holds, and for how long it waits for its own machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How much a pipeline holds at a time.

    `in_flight`: requests under way. `batch`: outcomes that are committed together, sooner if they
    reach `batch_bytes` or wait for `batch_s` seconds; the first ones wait for `first_batch_s`
    only, if that is given. `grace_s`: seconds that requests under way are given when the run is
    stopped. `disk_patience_s`: seconds that a full disk is given to have
    room again.
    """

    in_flight: int
    batch: int
    batch_s: float
    grace_s: float
    disk_patience_s: float
    batch_bytes: int = 8 << 20
    first_batch_s: float | None = None
