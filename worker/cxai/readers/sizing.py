"""How many readers a run may use, and when it needs them."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

Readers = int | Literal["auto"]
"""The setting `readers`: a number of processes, or as many as are useful."""

_LEAST_RATE = 200.0
"""Below this rate one core is enough: an ID takes 0.3 to 0.5 ms, an unusual body 1 ms."""

_MOST = 4
"""One event loop can't keep more busy: it needs a third of a reader's time for each ID."""

_SAMPLE_S = 1.0
_BUSY_SHARE = 0.7


def readers_for(setting: Readers, rate: float, cores: int) -> int:
    """Return how many readers a run of at most `rate` requests per second may start."""
    if setting != "auto":
        return setting
    return min(cores - 1, _MOST) if rate >= _LEAST_RATE else 0


def usable_cores(
    own_cgroup: Path = Path("/proc/self/cgroup"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return how many cores its affinity and cgroup (v2) let this process use, at least 1."""
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no cgroup v2, or no quota ("max")
        path = own_cgroup.read_text().rpartition("0::/")[2].rstrip("\n")
        quota_us, period_us = map(int, (cgroups / path / "cpu.max").read_text().split())
        cores = min(cores, quota_us // period_us)
    return max(1, cores)


class LoopLoad:
    """How busy the calling thread is: the share of CPU time in the last sample, a second or more.

    It is sampled with each block of replies, so it needs no timer.
    """

    def __init__(
        self,
        computed_s: Callable[[], float] = time.thread_time,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._computed_s = computed_s
        self._elapsed_s = elapsed_s
        self._since: tuple[float, float] | None = None
        self.share = 0.0
        """The share in the last sample, from 0 to 1."""

    def is_high(self) -> bool:
        """Whether a sample has ended now, and most of it was CPU time."""
        now = self._elapsed_s()
        if self._since is not None and now - self._since[0] < _SAMPLE_S:
            return False
        computed = self._computed_s()
        if self._since is not None:
            self.share = (computed - self._since[1]) / (now - self._since[0])
        self._since = now, computed
        return self.share >= _BUSY_SHARE
