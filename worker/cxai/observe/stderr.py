"""Standard error as a run writes to it: a line never makes its writer wait."""

import select
import sys
from contextlib import suppress


def takes_a_line() -> bool:
    """Whether standard error takes a line of up to 4 KiB without making its writer wait."""
    try:
        if not hasattr(select, "poll"):  # some macOS builds of Python
            return bool(select.select([], [sys.stderr.fileno()], [], 0)[1])
        poll = select.poll()
        poll.register(sys.stderr.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # no descriptor (in a test), or a closed one: a write fails
        return True


def write_line(line: str) -> None:
    """Write a line (above the live view, if any), unless standard error does not take it now."""
    if takes_a_line():
        with suppress(OSError):  # full, or its reader has left: no reason to end a run
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def is_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


def has_live_view() -> bool:
    """Whether a live view is drawn there now: then rich has put its proxy in the stream's place."""
    return hasattr(sys.stderr, "rich_proxied_file")
