"""The process of a reader, from start to exit."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from cxai.readers.link import ReaderLink

_END_S = 1.0

_INHERITED = ("PYTHON", "LD_", "DYLD_", "LANG", "LC_", "MALLOC_")
"""Prefixes of the environment variables that a reader inherits. None holds a secret of ours."""


class ReaderNotStartedError(Exception):
    """A reader can't be started; the message is a predicate, as in `ReaderProcess.end`."""


@dataclass(frozen=True, slots=True)
class ReaderProcess:
    """A reader's process, and the `link` to it."""

    process: "subprocess.Popen[bytes]"
    link: ReaderLink

    @property
    def end(self) -> str:
        """How it ended, as a predicate: "exited with code 1". Valid once it has ended."""
        code = self.process.returncode
        if self.link.reason or code is None:
            return self.link.reason
        if code < 0:
            names = {number.value: number.name for number in signal.Signals}
            return f"was killed by {names.get(-code, f'signal {-code}')}"
        return f"exited with code {code}"


@asynccontextmanager
async def running_reader(
    make_link: Callable[[], ReaderLink] = ReaderLink,
) -> AsyncIterator[ReaderProcess]:
    """Start a reader; on exit, kill it and wait for its end. Raises ReaderNotStartedError."""
    ours, process = _started()
    try:
        try:
            loop = asyncio.get_running_loop()
            transport, link = await loop.create_unix_connection(make_link, sock=ours)
        except BaseException:
            ours.close()
            raise
        try:
            yield ReaderProcess(process, link)
        finally:
            if link.lost.is_set() and not link.reason:
                _wait(process)  # it is exiting: its status is for the log
            transport.abort()
    finally:
        process.kill()  # it has no state to save
        _wait(process)


def _started() -> "tuple[socket.socket, subprocess.Popen[bytes]]":
    """Start a reader; return our end of its socket, and the process.

    It uses the import path of this process without the current directory. Its output is discarded,
    since a library's message may quote a body. On Linux it dies with the thread that starts it,
    which is that of the event loop.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        raise ReaderNotStartedError("can't be started: no Python interpreter was found")
    inherited = {name: value for name, value in os.environ.items() if name.startswith(_INHERITED)}
    try:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                return ours, subprocess.Popen(
                    [sys.executable, "-P", "-m", "cxai.readers"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=inherited | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                )
        except BaseException:
            ours.close()
            raise
    except OSError as error:  # out of memory, descriptors or processes, or not permitted
        raise ReaderNotStartedError(f"can't be started: {error.strerror}") from error


def _wait(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process that is about to exit."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
