"""SIGTERM, SIGHUP and Ctrl-C: the first stops the run gracefully, the second ends it immediately.

Several within half a second are one: `timeout -s INT` sends its signal to the command and again to
the command's group, and a terminal that closes may send more than one kind.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cxai.core.events import Emit
from cxai.core.stop import StopRequest
from cxai.errors import ExitCode, StopCause, StopRequestedError
from cxai.observe.stderr import has_live_view

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE_SIGNAL_S = 0.5
_SHOW_CURSOR = b"\x1b[?25h\n"


@contextmanager
def stop_signals(emit: Emit, grace_s: float = 0.0) -> Iterator[StopRequest]:
    """Turn the first signal into a request, end the process on the second; then undo that.

    `emit` takes an event for each; requests in flight have `grace_s` seconds after the first.
    """
    loop = asyncio.get_running_loop()
    request = StopRequest()
    received_at: list[float] = []

    def on_signal(number: signal.Signals) -> None:
        if received_at:
            if loop.time() - received_at[0] >= _ONE_SIGNAL_S:
                _quit(emit)
            return
        received_at.append(loop.time())
        by = "Ctrl-C" if number is signal.SIGINT else number.name
        emit("stopping", text=_stopping(by, grace_s), signal=by, grace_s=grace_s)
        request.make(StopRequestedError(by, StopCause.SIGNAL))

    before = {number: signal.getsignal(number) for number in _STOPPING if not _is_ignored(number)}
    for number in before:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield request
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _stopping(by: str, grace_s: float) -> str:
    wait = f": requests in flight have up to {grace_s:g} s" if grace_s else ""
    again = "press Ctrl-C again" if by == "Ctrl-C" else f"send {by} again"
    return f"stopping{wait}; {again} to quit now"


def _quit(emit: Emit) -> None:
    """End the process. There is nothing to save: the next run retrieves what is not committed."""
    if has_live_view():  # it has hidden the cursor, and would draw no more
        with suppress(OSError):
            os.write(2, _SHOW_CURSOR)
        sys.stderr = sys.__stderr__ or sys.stderr
    text = "quit at the second signal; rerun the same command to resume"
    emit("run_abandoned", text=text, exit_code=int(ExitCode.STOPPED))
    os._exit(ExitCode.STOPPED)


def _is_ignored(number: signal.Signals) -> bool:
    """Whether the caller wants it ignored: `nohup`, or a shell that starts us in the background."""
    return number is not signal.SIGTERM and signal.getsignal(number) is signal.SIG_IGN
