"""A server (bench/server.py) in a process of its own, for as long as it is needed."""

import subprocess
import sys
from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from bench.machine import ROOT, pinned

CERTIFICATES = ROOT / "tests" / "support" / "certificates"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, and its standard input and output."""

    base_url: str
    asking: IO[bytes]
    answers: IO[bytes]

    def arrivals(self) -> list[float]:
        """Return when the requests since the last call arrived, in seconds, in order."""
        self.asking.write(b"?")
        self.asking.flush()
        (count,) = array("q", self.answers.read(8))
        return sorted(array("d", self.answers.read(8 * count)))  # connections are read in any order


@contextmanager
def serving(cores: Collection[int], *options: str) -> Iterator[Server]:
    """Have a server run on some cores."""
    argv = [sys.executable, "-m", "bench.server", *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with pinned(cores):
        process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True, **pipes)
    with process:  # which closes its input: so it ends
        port = process.stdout.readline().decode().strip()
        if not port:
            raise RuntimeError("bench.server has not started.")
        host = "https://localhost" if "--tls" in options else "http://127.0.0.1"
        yield Server(f"{host}:{port}", process.stdin, process.stdout)
