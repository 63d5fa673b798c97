"""SIGTERM, SIGHUP and Ctrl-C: the first stops the run in good order, the second leaves at once.

Several within half a second are one: `timeout -s INT` sends its signal to the command and again to
the command's group, and a terminal that closes may send more than one kind.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cxai.core.stop import StopRequest
from cxai.errors import ExitCode, StopCause, StopRequestedError
from cxai.observe.logging import LOG, stderr_takes

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE_SIGNAL_S = 0.5
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Turn the first signal into a request, end the process on the second; then undo that.

    What comes within half a second of the first is no second one.
    """
    loop = asyncio.get_running_loop()
    request = StopRequest()
    received_at: list[float] = []

    def on_signal(number: signal.Signals) -> None:
        if received_at:
            if loop.time() - received_at[0] < _ONE_SIGNAL_S:
                return
            # Nothing to save: what is committed is safe, and what is not is done again.
            if not LOG.as_json:
                cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
                _say(f"{cursor}\ncxai: left at once; the same command goes on.\n")
            LOG.end("run_abandoned", exit_code=int(ExitCode.STOPPED), reason="a second signal")
            os._exit(ExitCode.STOPPED)
        received_at.append(loop.time())
        by = "Ctrl-C" if number is signal.SIGINT else number.name
        request.make(StopRequestedError(by, StopCause.SIGNAL))
        if LOG.as_json:  # then each line is to be JSON
            LOG.info("stopping", reason=f"stopped by {by}; once more to leave at once")
        else:
            _say("\ncxai: stopping; once more to leave at once.\n")

    before = {number: signal.getsignal(number) for number in _STOPPING if not _is_ignored(number)}
    for number in before:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield request
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _is_ignored(number: signal.Signals) -> bool:
    """Whether the caller wants it ignored: `nohup`, or a shell that starts us in the background."""
    return number is not signal.SIGTERM and signal.getsignal(number) is signal.SIG_IGN


def _say(text: str) -> None:
    if stderr_takes():
        with suppress(OSError):  # nobody may be reading
            os.write(2, text.encode())
