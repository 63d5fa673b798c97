"""File descriptors: each request under way takes one, and the usual limit is for less than that."""

import resource

from cxai.errors import UsageError

OWN = 48
"""Descriptors for all else: parts, ledger, input, event loop, standard streams."""


def need_descriptors(in_flight: int, readers: int = 0) -> None:
    """Raise this process's limit as far as requests in flight, and readers, need it.

    Raises UsageError, with the figures, if the system allows no more than too few.
    """
    others = readers + OWN
    needed = in_flight + others
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        lower = (
            f"lower in_flight to {hard - others} or less"
            if hard > others
            else "start cxai elsewhere"
        )
        raise UsageError(
            f"{in_flight} requests in flight need {needed} file descriptors, and a process may have"
            f" {hard} here (ulimit -Hn). Raise that limit, or {lower}."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
