"""The outage breaker: tells an API that is down from an ID that fails, and waits for its return."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """`threshold`: failures in a row, on distinct IDs, that make an outage.

    The first probe leaves `probe_base_s` after the breaker has opened, each next one after twice
    the wait, at most `probe_cap_s` seconds.
    """

    threshold: int = 10
    probe_base_s: float = 1.0
    probe_cap_s: float = 60.0


@dataclass(slots=True)
class Breaker:
    """Opens after many failures in a row; while it is open, one probe at a time may leave.

    Any answer to a request that left since closes it, also an unwelcome one: who answers is there.
    `failed_probes` counts those of the outage that there is. Times are seconds of one monotonic
    clock, given by the caller.
    """

    rules: BreakerRules
    open_since: float | None = None
    failed_probes: int = 0
    _failed: set[object] = field(default_factory=set)
    _probe_at: float = 0.0
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        """Whether there is an outage."""
        return self.open_since is not None

    def wait_s(self, now: float) -> float | None:
        """Return how long the next request has to wait, None for until something is heard."""
        if self.open_since is None:
            return 0.0
        return None if self._probing else max(0.0, self._probe_at - now)

    def leave(self) -> None:
        """Note that a request leaves: while there is an outage, it is the probe."""
        self._probing = self.is_open

    def answered(self, left_at: float) -> None:
        """Note an answer to a request that left at `left_at`: the API is there.

        An answer that was slow to come tells of the time before the outage: nothing changes.
        """
        if self.open_since is not None and left_at <= self.open_since:
            return
        self._failed.clear()
        self.open_since = None
        self.failed_probes = 0
        self._probing = False

    def failed(self, key: object, left_at: float, now: float) -> None:
        """Note a failure of the API or of the way to it, for a request that left at `left_at`.

        Requests that left before the outage was known are no probes, and tell nothing new.
        """
        if self.open_since is None:
            self._failed.add(key)
            if len(self._failed) < self.rules.threshold:
                return
            self._failed.clear()
            self.open_since = now
        elif left_at <= self.open_since:
            return
        else:
            self.failed_probes += 1
        wait_s = self.rules.probe_base_s * 2.0 ** min(self.failed_probes, 32)
        self._probe_at = now + min(wait_s, self.rules.probe_cap_s)
        self._probing = False
