"""What forks for each command: a process that has all imports of `cxai` behind it.

On its connection come requests, each with four descriptors: the command's standard streams, and
the socket on which to report its process ID, and then how it ended.
"""

import atexit
import importlib
import json
import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

from support.garbage import leave_out_what_is_there

ROOT = Path(__file__).parents[2]
_IMPORTED = (
    *(
        f"cxai.{one}"
        for one in ("cli.main", "cli.demo", "cli.serve", "inspect.status", "inspect.verify")
    ),
    # What a run imports when it begins, with its first event, or with its loop.
    *("cxai.ledger.sqlite", "cxai.resources.cx_ai.resource", "cxai.resources.cx_ai.layout"),
    *(f"cxai.observe.{one}" for one in ("live_view", "progress_file", "progress_lines")),
    "cxai.readers.pool",
    *("encodings.idna", "rich.console", "uvloop"),
)
_IMPORTED_FOR = {
    "postgres://": ("cxai.app.cluster_commands", "cxai.app.worker"),
    "redis": ("cxai.sources.redis_stream",),
    "sqs://": ("cxai.sources.sqs",),
}
"""What a command imports that is given such a URL: a tenth to a quarter of a second."""
_DESCRIPTORS = 4
_HEADER_BYTES = 8


def send(connection, content, fds=()):
    """Send JSON, and descriptors, which are closed here."""
    text = json.dumps(content).encode()
    socket.send_fds(connection, [len(text).to_bytes(_HEADER_BYTES, "big")], fds)
    connection.sendall(text)
    for fd in fds:
        os.close(fd)


def receive(connection):
    """Return the JSON that comes next, and its descriptors. Raises EOFError at the end."""
    header, fds, _, _ = socket.recv_fds(connection, _HEADER_BYTES, _DESCRIPTORS)
    if not header:
        raise EOFError
    rest = int.from_bytes(header, "big")
    text = b""
    while len(text) < rest:
        text += connection.recv(rest - len(text))
    return json.loads(text), fds


def _import(names):
    """Import modules that are not yet, for all commands from now on."""
    if missing := [name for name in names if name not in sys.modules]:
        for name in missing:
            importlib.import_module(name)
        leave_out_what_is_there()  # or each command would look at all of it, and so copy it


def _needed_for(arguments):
    """Yield the modules that a command with these arguments needs, and others don't."""
    for scheme, names in _IMPORTED_FOR.items():
        if any(argument.startswith(scheme) for argument in arguments):
            yield from names


def _serve(connection):
    _import((*_IMPORTED, "cxai.__main__"))
    main = sys.modules["cxai.__main__"]
    while True:
        try:
            request, fds = receive(connection)
        except EOFError:
            return
        request["arguments"] = [os.fsdecode(bytes.fromhex(one)) for one in request["arguments"]]
        _import(_needed_for(request["arguments"]))
        if os.fork() == 0:
            connection.close()
            _watch(main, request, fds)
        for fd in fds:
            os.close(fd)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _watch(main, request, fds):
    """Fork the command, report its process ID and, once it has ended, its exit code."""
    *streams, fd = fds
    report = socket.socket(fileno=fd)
    pid = os.fork()
    if pid == 0:
        report.close()
        _become(request, streams)
        sys.modules["__main__"] = main
        if request["first"]:
            exec(request["first"], {})  # noqa: S102 - a test's own
        _end_as(main.main)
    for stream in streams:
        os.close(stream)
    with suppress(BrokenPipeError):
        send(report, pid)
        send(report, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def _end_as(command):
    """Run a command and end as Python does, but without freeing its memory: that copies it all."""
    try:
        command()
    except SystemExit as ended:
        threading._shutdown()
        atexit._run_exitfuncs()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code or 0)
        raise  # for what can't be written, Python has an exit code of its own


def _become(request, fds):
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    if request["umask"] >= 0:
        os.umask(request["umask"])
    sys.argv = [str(ROOT / "worker" / "cxai" / "__main__.py"), *request["arguments"]]
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace", buffering=1)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
