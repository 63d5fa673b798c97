"""`cxai`, and `python -m cxai`: what has to happen before the imports that take time.

A container's process 1 ignores a signal that it has no handler for, so one is there from the first
moment on; the command's own, of a run, replaces it (cxai/cli/signals.py).
"""

import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from cxai.cli.early_format import is_log_json
from cxai.cli.tuning import tune_for_a_command
from cxai.errors import ExitCode


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    if sys.platform == "win32":
        sys.stderr.write("cxai: Windows is not supported. Use WSL, Linux or macOS.\n")
        sys.exit(ExitCode.USAGE)
    handle_early_signals(sys.argv[1:])
    tune_for_a_command()
    from cxai.cli.main import main as command_line  # noqa: PLC0415 - takes a quarter of the start

    command_line()


def handle_early_signals(arguments: list[str]) -> None:
    """End the process cleanly on SIGTERM, SIGHUP or Ctrl-C, from now on.

    A run that has not begun was stopped early: exit code 4, and nothing is lost. Other commands
    can't be resumed: they exit with 128 and the signal's number, as shells report it. What the
    caller ignores (`nohup`, a shell's background jobs) stays ignored, but for SIGTERM.
    """
    is_resumable = arguments[:1] in (["run"], ["demo"])

    def leave(number: int, _frame: FrameType | None) -> None:
        by = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        code = int(ExitCode.STOPPED) if is_resumable else 128 + number
        why = f"stopped by {by}{'; rerun the same command to resume' if is_resumable else ''}"
        line = f"\ncxai: {why}.\n"
        if is_log_json():
            seconds, ms = divmod(time.time_ns() // 1_000_000, 1000)
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
            line = (
                f'{{"at": "{at}.{ms:03}Z", "level": "error", "event": "run_abandoned",'
                f' "exit_code": {code}, "reason": "{why}"}}\n'
            )
        with suppress(OSError):  # standard error may be closed: the exit code remains
            os.write(2, line.encode())
        os._exit(code)

    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)


if __name__ == "__main__":
    main()
