"""What the server has seen: counts for its users, and the window in which a rate is measured."""

import math
from collections import Counter, deque
from typing import Any

WINDOW_S = 1.0


class Window:
    """The events that are less than `length_s` seconds old, on one monotonic clock."""

    def __init__(self, length_s: float = WINDOW_S) -> None:
        self._length_s = length_s
        self._events: deque[float] = deque()

    def count(self, now: float) -> int:
        """Return the number of events in the window that ends at `now`."""
        events, start = self._events, now - self._length_s
        while events and events[0] <= start:
            events.popleft()
        return len(events)

    def add(self, now: float) -> None:
        """Count an event."""
        self._events.append(now)


class Rate:
    """Admits requests at the `rate` of a Scenario; None admits all."""

    def __init__(self, rate: float | None) -> None:
        self._allowed = math.inf if rate is None else max(1, math.floor(rate))
        self._admitted = Window(WINDOW_S if rate is None else self._allowed / rate)

    def admits(self, now: float) -> bool:
        """Whether a request is allowed at `now`; it counts only if it is."""
        is_allowed = self._admitted.count(now) < self._allowed
        if is_allowed:
            self._admitted.add(now)
        return is_allowed


class Stats:
    """What has come in and gone out. Every request counts, except those for the stats.

    - `requests`: all; `by_path` as `ai`, `status`, `elsewhere` (of redirects), `other`.
    - `by_status`: responses, by HTTP status. A request that its client cancelled has none.
    - `by_coding`, `bytes_by_coding`: responses and the bytes of their bodies, as sent, by content
      coding (`identity` for none); `bytes_sent` is the sum.
    - `max_per_second`: the most requests that arrived within any sliding second, refused ones too.
    - `by_fault`: responses with a fault; those sent as raw bytes have no status, coding or bytes.
    - `strays`, `strays_with_token`: requests that followed a redirect, and those with the token.
    - `in_flight`, `max_in_flight`: requests between arrival and response, now and at most.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.by_path = Counter[str]()
        self.by_status = Counter[int]()
        self.by_coding = Counter[str]()
        self.bytes_by_coding = Counter[str]()
        self.by_fault = Counter[str]()
        self.strays = 0
        self.strays_with_token = 0
        self.max_per_second = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self._arrivals = Window()

    def arrived(self, path: str, now: float) -> None:
        """Count a request; `left` has to follow."""
        self.requests += 1
        self.by_path[path] += 1
        self._arrivals.add(now)
        self.max_per_second = max(self.max_per_second, self._arrivals.count(now))
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def left(self) -> None:
        """Count a request as finished, with a response or without."""
        self.in_flight -= 1

    def answered(self, status: int, coding: str, size_bytes: int) -> None:
        """Count a response."""
        self.by_status[status] += 1
        self.by_coding[coding] += 1
        self.bytes_by_coding[coding] += size_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as a JSON object, with the attributes' names as keys."""
        counts = {name: count for name, count in vars(self).items() if not name.startswith("_")}
        by_status = {str(status): count for status, count in sorted(self.by_status.items())}
        return counts | {"by_status": by_status, "bytes_sent": self.bytes_by_coding.total()}
