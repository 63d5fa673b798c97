"""How long a place may take for one call, before the call counts as failed."""

LEAST_S = 30.0
SLOWEST_BYTES_PER_S = 512 * 1024


def deadline_s(size: int = 0, least_s: float = LEAST_S) -> float:
    """Return the seconds that a call which moves `size` bytes may take, its retries included."""
    return least_s + size / SLOWEST_BYTES_PER_S
