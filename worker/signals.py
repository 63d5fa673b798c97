"""SIGTERM and Ctrl-C: the first one stops the run in good order, the second one leaves at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.errors import ExitCode, StoppedError

_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stop_signals(stop: Callable[[StoppedError], None]) -> Iterator[None]:
    """Call `stop` on the first signal, end the process on the second; handlers are put back."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        if received:
            # Nothing to save: what is committed is safe, and what is not is done again.
            cursor = _SHOW_CURSOR if sys.stderr.isatty() else ""
            os.write(2, f"{cursor}\ncxai: left at once; the same command goes on.\n".encode())
            os._exit(ExitCode.STOPPED)
        received.append(number)
        os.write(2, b"\ncxai: stopping; once more to leave at once.\n")
        stop(StoppedError(f"Stopped by {number.name}."))

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
