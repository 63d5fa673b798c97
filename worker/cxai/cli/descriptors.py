"""File descriptors: each request in flight takes one, and the usual limit may be too low."""

import resource

from cxai.errors import UsageError

OWN = 48
"""Descriptors for everything else: parts, ledger, input, event loop, standard streams."""


def need_descriptors(in_flight: int, readers: int = 0) -> None:
    """Raise this process's limit to what requests in flight and readers need.

    Raises UsageError, with the figures, if the system does not allow that many.
    """
    others = readers + OWN
    needed = in_flight + others
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        lower = "run cxai on another machine"
        if hard > others:
            lower = f"lower in_flight to {hard - others} or less"
        raise UsageError(
            f"{in_flight} requests in flight need {needed} file descriptors, but a process here is"
            f" limited to {hard} (ulimit -Hn). Raise that limit, or {lower}."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
