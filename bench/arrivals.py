"""What the times tell at which requests arrived at a server."""

from collections.abc import Sequence


def pace(times: Sequence[float], together: int) -> float:
    """Return the requests per second of a client that sends `together` requests at once.

    Counted from the first request to the first of the last ones that came together, so that
    neither the start of the client nor its last wait counts.
    """
    return (len(times) - together) / (times[-together] - times[0])


def most_within(times: Sequence[float], window_s: float) -> int:
    """Return the most requests that arrived in any stretch of `window_s`, its end excluded."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most
