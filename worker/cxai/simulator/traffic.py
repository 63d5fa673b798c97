"""What the server has seen: counts for its users, and the window that a rate is measured in."""

import math
from collections import Counter, deque
from typing import Any

WINDOW_S = 1.0


class Window:
    """The events of the last `length_s` seconds. Times are of one monotonic clock, never falling.

    An event exactly `length_s` old is outside. Holds no more than one window's events.
    """

    def __init__(self, length_s: float = WINDOW_S) -> None:
        self._length_s = length_s
        self._events: deque[float] = deque()

    def count(self, now: float) -> int:
        """Return how many events there are in the window that ends at `now`."""
        events, start = self._events, now - self._length_s
        while events and events[0] <= start:
            events.popleft()
        return len(events)

    def add(self, now: float) -> None:
        """Note an event."""
        self._events.append(now)


class Rate:
    """Admits `rate` requests (above 0) in any sliding second; None admits all.

    A rate that isn't whole admits floor(rate), at least 1, in any `that / rate` seconds.
    """

    def __init__(self, rate: float | None) -> None:
        self._allowed = math.inf if rate is None else max(1, math.floor(rate))
        self._admitted = Window(WINDOW_S if rate is None else self._allowed / rate)

    def admits(self, now: float) -> bool:
        """Tell whether a request may come in at `now`; it counts only if it may."""
        if self._allowed is math.inf:
            return True
        if self._admitted.count(now) >= self._allowed:
            return False
        self._admitted.add(now)
        return True


class Stats:
    """What has come in and gone out. All but requests for the stats themselves counts.

    - `requests`: all that arrived; `by_path` as `ai`, `status`, `declared`, `elsewhere`
      (where redirects lead), `other`.
    - `by_status`: responses, by HTTP status. A request that its client gave up has none.
    - `by_coding`, `bytes_by_coding`: responses and the bytes of their bodies, as sent, without
      headers, by content coding (`identity` for none).
    - `max_per_second`: the most requests that arrived within any sliding second, refused ones too.
    - `by_fault`: answers with a fault; those of the wire have no status, coding or bytes.
    - `strays`, `strays_with_token`: requests that followed a redirect, and brought the token.
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

    @property
    def bytes_sent(self) -> int:
        """The bytes of all bodies, as sent."""
        return self.bytes_by_coding.total()

    def arrived(self, path: str, now: float) -> None:
        """Note a request; `left` has to follow."""
        self.requests += 1
        self.by_path[path] += 1
        self._arrivals.add(now)
        self.max_per_second = max(self.max_per_second, self._arrivals.count(now))
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def left(self) -> None:
        """Note that a request is done with, answered or given up."""
        self.in_flight -= 1

    def strayed(self, *, with_token: bool) -> None:
        """Note that a redirect was followed."""
        self.strays += 1
        self.strays_with_token += with_token

    def answered(self, status: int, coding: str, size_bytes: int) -> None:
        """Note a response."""
        self.by_status[status] += 1
        self.by_coding[coding] += 1
        self.bytes_by_coding[coding] += size_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as a JSON object, keys as the attributes'."""
        return {
            "requests": self.requests,
            "by_path": dict(self.by_path),
            "by_status": {str(status): n for status, n in sorted(self.by_status.items())},
            "by_coding": dict(self.by_coding),
            "bytes_sent": self.bytes_sent,
            "bytes_by_coding": dict(self.bytes_by_coding),
            "by_fault": {str(fault): n for fault, n in self.by_fault.items()},
            "strays": self.strays,
            "strays_with_token": self.strays_with_token,
            "max_per_second": self.max_per_second,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
        }
