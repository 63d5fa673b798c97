"""What all sections share: the IDs, the server, the tasks, and how much is measured."""

import os
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from support.certificate import CA

from bench import corpus
from bench.clients import Client
from bench.measurement import ROOT, FailedRunError, Run, measure, pinned

_TRUSTED = dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), str(CA))


class Server(NamedTuple):
    """A server that runs (bench/server.py), and its standard input and output."""

    base_url: str
    asking: IO[bytes]
    answers: IO[bytes]

    def arrivals(self) -> list[float]:
        """Return when the requests since the last call arrived, in seconds, in order."""
        self.asking.write(b"?")
        self.asking.flush()
        (size,) = array("q", self.answers.read(8))
        return sorted(array("d", self.answers.read(8 * size)))  # connections are read in any order


class Task(NamedTuple):
    """IDs to ask a server for, and where to: a file, or the worker's directory."""

    ids: Path
    base_url: str
    out: Path
    in_flight: int


@dataclass(slots=True)
class BenchContext:
    """A scratch directory, how many IDs the worker gets, and how often each client has its turn."""

    scratch: Path
    ids: int
    rounds: int
    cores: list[int] = field(default_factory=lambda: sorted(os.sched_getaffinity(0)))
    _done: set[object] = field(default_factory=set)

    def report(self, text: str) -> None:
        """Report progress."""
        print(text, file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        """How long to measure where time decides and not the number of IDs: 2 to 10."""
        return min(10.0, max(2.0, self.ids / 2_000))

    @property
    def log(self) -> Path:
        """The output of the last command."""
        return self.scratch / "log"

    @contextmanager
    def server(self, *options: str, all_cores: bool = False) -> Iterator[Server]:
        """Yield a server with options of bench/server.py, on the first core or on all."""
        argv = [sys.executable, "-m", "bench.server", *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with pinned(self.cores if all_cores else self.cores[:1]):
            process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True, **pipes)
        with process:  # which closes its input: so it ends
            port = process.stdout.readline().decode().strip()
            if not port:
                raise FailedRunError("bench.server has not started")
            host = "https://localhost" if "--tls" in options else "http://127.0.0.1"
            yield Server(f"{host}:{port}", process.stdin, process.stdout)

    @contextmanager
    def task(self, server: Server, ids: int, in_flight: int = 64) -> Iterator[Task]:
        """Yield a new task of so many IDs; in the end what it has written is removed."""
        file = self.scratch / f"ids-{ids}.txt"
        if not file.exists():
            with file.open("w", encoding="utf-8") as lines:
                lines.writelines(f"{one}\n" for one in corpus.ids(ids))
        with TemporaryDirectory(dir=self.scratch) as place:
            yield Task(file, server.base_url, Path(place) / "out", in_flight)

    def do(self, client: Client, task: Task) -> Run:
        """Have a client do a task. Raises FailedRunError."""
        if client.build and client.key not in self._done:
            self.run(*client.build.format(scratch=self.scratch).split())
            self._done.add(client.key)
        env = {"CXAI_API_TOKEN": "made-up", "IN_FLIGHT": str(task.in_flight)}
        env |= _TRUSTED if task.base_url.startswith("https:") else {}
        fields = {"python": sys.executable, "scratch": self.scratch, **task._asdict()}
        argv = [word.format(**fields) for word in client.command.split()]
        return measure(argv, self.cores if client.all_cores else self.cores[-1:], self.log, env)

    def do_once(self, client: Client, server: Server, ids: int, in_flight: int = 64) -> Run:
        """Have a client do a new task; the first time, what it has written is checked."""
        with self.task(server, ids, in_flight) as task:
            run = self.do(client, task)
            if client.writes and (client, ids) not in self._done:
                self.run(sys.executable, "-m", "bench.corpus", task.ids, task.out)
                self._done.add((client, ids))
        return run

    def run(self, *argv: str | Path) -> Run:
        """Run a command that belongs to no task, on the core of the clients."""
        return measure(argv, self.cores[-1:], self.log, {})
