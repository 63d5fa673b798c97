"""How long one call to a store may take before it counts as failed."""

LEAST_S = 30.0
SLOWEST_BYTES_PER_S = 512 * 1024


def deadline_s(size: int = 0, least_s: float = LEAST_S) -> float:
    """Return the time limit in seconds of a call that moves `size` bytes, including retries."""
    return least_s + size / SLOWEST_BYTES_PER_S
