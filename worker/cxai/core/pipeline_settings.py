"""The bounds of a pipeline: how much it holds, and how long it waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The bounds of a pipeline.

    `in_flight`: concurrent requests. `batch`: outcomes per commit; a commit is due earlier at
    `batch_bytes` or after `batch_s` seconds (the first after `first_batch_s`, if given). `grace_s`:
    seconds that requests in flight have to complete when the run is stopped. `disk_patience_s`:
    seconds that the run waits for a full disk to have space again.
    """

    in_flight: int
    batch: int
    batch_s: float
    grace_s: float
    disk_patience_s: float
    batch_bytes: int = 8 << 20
    first_batch_s: float | None = None
