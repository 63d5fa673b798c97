"""A real `cxai` on a terminal of its own, with what it shows there."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from support.command import cxai_argv, environment
from support.waiting import PATIENCE_S

CTRL_C = b"\x03"
_COMMAND = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class OnTerminal:
    """A command whose standard error is a terminal, and its output unless `out` is a file.

    `shown` is all that it has written there. Its input is empty, unless `stdin` is None: then it is
    the terminal too.
    """

    def __init__(self, *arguments, columns=80, stdin=subprocess.DEVNULL, out=None, **variables):
        self._ours, terminal = pty.openpty()
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
        variables = {"TERM": "xterm", **variables}
        env = environment(**variables)
        for name in ("COLUMNS", "NO_COLOR"):
            if name not in variables:
                env.pop(name, None)
        self.process = subprocess.Popen(
            cxai_argv(*arguments),
            stdin=terminal if stdin is None else stdin,
            stdout=terminal if out is None else out,
            stderr=terminal,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(2, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one system call
        )
        os.close(terminal)
        self._bytes = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def shown(self):
        return self._bytes.decode()

    @property
    def text(self):
        """What it has shown without what commands the terminal, each line once as it came."""
        return _COMMAND.sub("", self.shown).replace("\r", "\n")

    def press_ctrl_c(self):
        os.write(self._ours, CTRL_C)

    def wait_for(self, text):
        """Wait until `text` was shown since the last time that something was waited for."""
        begun, end = len(self._bytes), time.monotonic() + PATIENCE_S
        while text not in self._bytes[begun:].decode(errors="replace"):
            assert time.monotonic() < end, f"never shown: {text!r} in {self.shown!r}"
            assert self._read(end - time.monotonic()), f"ended without {text!r}: {self.shown!r}"

    def ended(self):
        """Wait for the end; return the exit code."""
        end = time.monotonic() + PATIENCE_S
        while self._read(end - time.monotonic()):
            assert time.monotonic() < end, f"did not end: {self.shown!r}"
        return self.process.wait(PATIENCE_S)

    def _read(self, patience_s):
        """Read what is there or comes; return whether more may come."""
        if not select.select([self._ours], [], [], max(0.0, patience_s))[0]:
            return True
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:  # Linux: nothing has it open any more
            return False
        self._bytes += piece
        return bool(piece)
