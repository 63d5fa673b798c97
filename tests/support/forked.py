"""`cxai` without the half second of its imports: a process that has them forks for each command.

The command is the real one, in a process of its own, with its own arguments, environment,
directory and standard streams. Only what Python reads before its first import is the server's,
and the command line that `ps` shows.
"""

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from support.fork_server import ROOT, receive, send
from support.waiting import PATIENCE_S

_READ_AT_START = ("PYTHON", "LC_", "LANG", "SSL_", "OPENSSL_")


class Forks:
    """Where commands are started. The server comes with the first, and ends with this process.

    `worker` is where the package is: another place for one that a test has changed.
    """

    def __init__(self, worker=ROOT / "worker"):
        self._worker = worker
        self._lock = threading.Lock()
        self._process = self._server = None

    @staticmethod
    def can_start(env):
        """Whether it makes no difference that the command is forked and not started."""
        return _read_at_start(env) == _read_at_start(os.environ)

    def close(self):
        """End the server; commands that are under way go on."""
        if self._server is not None:
            self._server.close()
            self._process.wait(PATIENCE_S)
            self._process = self._server = None

    def start(self, arguments, env, cwd=None, umask=-1, first=None, log=None):
        """Start a command with pipes for its standard streams; with a log, its output goes there.

        `log` is a file that is open; its command has no input then.
        """
        arguments = [str(one) for one in arguments]
        request = {
            "arguments": [os.fsencode(one).hex() for one in arguments],
            "environment": dict(env),
            "directory": os.fspath(cwd or Path.cwd()),
            "umask": umask,
            "first": first,
        }
        if log is None:
            (theirs_in, feed), (out, theirs_out), (err, theirs_err) = (os.pipe() for _ in range(3))
            pipes = os.fdopen(feed, "wb"), os.fdopen(out, "rb"), os.fdopen(err, "rb")
        else:
            theirs_in = os.open(os.devnull, os.O_RDONLY)
            theirs_out, theirs_err = os.dup(log.fileno()), os.dup(log.fileno())
            pipes = None, None, None
        report, its = socket.socketpair()
        with self._lock:
            if self._server is None:
                self._process, self._server = _start_server(self._worker)
                atexit.register(self.close)
            send(self._server, request, (theirs_in, theirs_out, theirs_err, its.detach()))
        return Forked(arguments, report, *pipes)


FORKS = Forks()


class Forked:
    """A command under way: what tests need of subprocess.Popen."""

    def __init__(self, arguments, report, stdin, stdout, stderr):
        self.args = ["cxai", *arguments]
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.returncode = None
        self._report = report
        self.pid = receive(report)[0]
        self._reading = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream:
                stream.close()
        self.wait()

    def poll(self):
        """Return the exit code, or None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the end and return the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = receive(self._report)[0]
            self._report.close()
        return self.returncode

    def communicate(self, text=None, timeout=None):
        """Write `text`, close the input and wait; return all that was not yet read, as bytes."""
        if self._reading is None:
            self._reading = [_Reading(stream) for stream in (self.stdout, self.stderr)]
            if self.stdin and not self.stdin.closed:
                writing = (self.stdin, text or b"")
                threading.Thread(target=_write_all, args=writing, daemon=True).start()
        self.wait(timeout)
        for reading in self._reading:
            reading.join(PATIENCE_S)
        return tuple(reading.text for reading in self._reading)

    def send_signal(self, number):
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class _Reading(threading.Thread):
    """Reads a stream to its end, in a thread: two pipes may both be full."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.text = b""
        self._stream = stream
        self.start()

    def run(self):
        if not self._stream.closed:
            with self._stream:
                self.text = self._stream.read()


def _write_all(stream, text):
    with suppress(BrokenPipeError), stream:
        stream.write(text)


def _read_at_start(env):
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


def _start_server(worker):
    ours, its = socket.socketpair()
    server = subprocess.Popen(
        [sys.executable, "-m", "support.fork_server", str(its.fileno())],
        pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{worker}:{ROOT / 'tests'}"},
    )  # fmt: skip
    its.close()
    return server, ours
