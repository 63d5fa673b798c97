"""The bounds of a pipeline: how much it holds, and how long it waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """`in_flight`: concurrent requests. `batch`: outcomes per commit.

    A commit is due earlier at `batch_bytes` or after `batch_s` seconds (the first after
    `first_batch_s`, if given). When the run is stopped, requests in flight have `grace_s` seconds
    to complete; a full disk has `disk_patience_s` seconds to have space again.
    """

    in_flight: int
    batch: int
    batch_s: float
    grace_s: float
    disk_patience_s: float
    batch_bytes: int = 8 << 20
    first_batch_s: float | None = None
