"""`cxai` without the half second of its imports: a process that has them forks for each command.

The command is the real one, in a process of its own, with its own arguments, environment,
directory and standard streams. Only what Python reads before its first import is the server's.
"""

import atexit
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from support.garbage import leave_out_again, leave_out_what_is_there
from support.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
_IMPORTED = (
    *(
        f"cxai.{one}"
        for one in ("cli.main", "cli.demo", "cli.serve", "inspect.status", "inspect.verify")
    ),
    # What a run imports when it begins, with its first event, or with its loop.
    *("cxai.ledger.sqlite", "cxai.resources.cx_ai.resource", "cxai.resources.cx_ai.layout"),
    *("encodings.idna", "rich.console", "structlog", "uvloop"),
)
_READ_AT_START = ("PYTHON", "LC_", "LANG", "SSL_", "OPENSSL_")
_HEADER_BYTES = 8


class Forks:
    """Where commands are started. The server comes with the first, and ends with this process."""

    def __init__(self):
        self._lock = threading.Lock()
        self._server = None

    @staticmethod
    def can_start(env):
        """Whether it makes no difference that the command is forked and not started."""
        return _read_at_start(env) == _read_at_start(os.environ)

    def run(self, arguments, stdin, env, cwd, timeout_s):
        """Run a command to its end; return its code, standard output and standard error."""
        request = {
            "arguments": [os.fsencode(str(one)).hex() for one in arguments],
            "environment": dict(env),
            "directory": os.fspath(cwd or Path.cwd()),
            "umask": _umask(),
        }
        with self._lock, ThreadPoolExecutor(3) as threads:
            self._server = self._server or _start_server()
            (theirs_in, feed), (out, theirs_out), (err, theirs_err) = (os.pipe() for _ in range(3))
            _send(self._server, request, (theirs_in, theirs_out, theirs_err))
            texts = [threads.submit(_read_all, fd) for fd in (out, err)]
            threads.submit(_write_all, feed, stdin or b"")
            pid = _receive(self._server)[0]
            killed = threading.Event()
            late = threading.Timer(timeout_s, lambda: (killed.set(), os.kill(pid, 9)))
            late.start()
            code = _receive(self._server)[0]
            late.cancel()
            shown = [text.result() for text in texts]
        if killed.is_set():
            raise subprocess.TimeoutExpired(list(map(str, arguments)), timeout_s, *shown)
        return code, *shown


def _read_at_start(env):
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


def _umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _read_all(fd):
    with os.fdopen(fd, "rb") as stream:
        return stream.read()


def _write_all(fd, content):
    with suppress(BrokenPipeError), os.fdopen(fd, "wb", buffering=0) as stream:
        rest = memoryview(content)
        while rest:
            rest = rest[stream.write(rest) :]


def _start_server():
    ours, its = socket.socketpair()
    server = subprocess.Popen(
        [sys.executable, "-m", "support.forked", str(its.fileno())],
        pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'worker'}:{ROOT / 'tests'}"},
    )  # fmt: skip
    its.close()
    atexit.register(lambda: (ours.close(), server.wait(PATIENCE_S)))
    return ours


# --- both sides ---


def _send(connection, content, fds=()):
    """Send JSON, and descriptors, which are closed here."""
    text = json.dumps(content).encode()
    socket.send_fds(connection, [len(text).to_bytes(_HEADER_BYTES, "big")], fds)
    connection.sendall(text)
    for fd in fds:
        os.close(fd)


def _receive(connection):
    """Return the JSON that comes next, and its descriptors. Raises EOFError at the end."""
    header, fds, _, _ = socket.recv_fds(connection, _HEADER_BYTES, 3)
    if not header:
        raise EOFError
    rest = int.from_bytes(header, "big")
    text = b""
    while len(text) < rest:
        text += connection.recv(rest - len(text))
    return json.loads(text), fds


# --- the server ---


def _serve(connection):
    for name in _IMPORTED:
        importlib.import_module(name)
    main = importlib.import_module("cxai.__main__")
    leave_out_what_is_there()  # or each command would look at all of it, and so copy it
    atexit.register(leave_out_again)
    while True:
        try:
            request, fds = _receive(connection)
        except EOFError:
            return
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(request, fds)
            sys.modules["__main__"] = main
            main.main()  # which ends this process, as it would any other
        for fd in fds:
            os.close(fd)
        _send(connection, pid)
        _send(connection, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _become(request, fds):
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    os.umask(request["umask"])
    arguments = [os.fsdecode(bytes.fromhex(one)) for one in request["arguments"]]
    sys.argv = [str(ROOT / "worker" / "cxai" / "__main__.py"), *arguments]
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace", buffering=1)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
