"""What all sections share: the IDs, the servers, and how much is measured."""

import os
import shutil
import subprocess
import sys
from array import array
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import IO

from bench import corpus
from bench.clients import Client, Task
from bench.measurement import ROOT, FailedRunError, Run, measure, pinned

_CERTIFICATES = ROOT / "tests" / "support" / "certificates"
_TRUSTED = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs (bench/server.py), and its standard input and output."""

    base_url: str
    asking: IO[bytes]
    answers: IO[bytes]

    def arrivals(self) -> list[float]:
        """Return when the requests since the last call arrived, in seconds, in order."""
        self.asking.write(b"?")
        self.asking.flush()
        (count,) = array("q", self.answers.read(8))
        return sorted(array("d", self.answers.read(8 * count)))  # connections are read in any order


@dataclass(slots=True)
class BenchContext:
    """A scratch directory, how many IDs the worker gets, and how often each client has its turn."""

    scratch: Path
    ids: int
    rounds: int
    report: Callable[[str], None]
    cores: list[int] = field(default_factory=lambda: sorted(os.sched_getaffinity(0)))
    _numbers: Iterator[int] = field(default_factory=count)
    _done: set[object] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """How long to measure where time decides and not the number of IDs: 2 to 10."""
        return min(10.0, max(2.0, self.ids / 2_000))

    @property
    def log(self) -> Path:
        """The output of the last command."""
        return self.scratch / "log"

    @contextmanager
    def server(
        self, *, delay_s: float = 0.0, tls: bool = False, short: bool = False,
        on: Collection[int] = (),
    ) -> Iterator[Server]:  # fmt: skip
        """Yield a server on the first core, or `on` others; each response leaves `delay_s` late."""
        options = [*["--tls", str(_CERTIFICATES / "good.pem")] * tls, *["--short"] * short]
        argv = [sys.executable, "-m", "bench.server", "--delay", str(delay_s), *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with pinned(on or self.cores[:1]):
            process = subprocess.Popen(argv, cwd=ROOT, start_new_session=True, **pipes)
        with process:  # which closes its input: so it ends
            port = process.stdout.readline().decode().strip()
            if not port:
                raise FailedRunError("bench.server has not started")
            host = "https://localhost" if tls else "http://127.0.0.1"
            yield Server(f"{host}:{port}", process.stdin, process.stdout)

    @contextmanager
    def task(self, server: Server, ids: int, in_flight: int = 64) -> Iterator[Task]:
        """Yield a new task of so many IDs; in the end what it has written is removed."""
        file = self.scratch / f"ids-{ids}.txt"
        if not file.exists():
            with file.open("w", encoding="utf-8") as lines:
                lines.writelines(f"{one}\n" for one in corpus.ids(ids))
        place = self.scratch / f"task-{next(self._numbers)}"
        place.mkdir()
        try:
            yield Task(file, server.base_url, place / "out", in_flight)
        finally:
            shutil.rmtree(place)

    def do(self, client: Client, task: Task) -> Run:
        """Have a client do a task. Raises FailedRunError."""
        if client.build and client.key not in self._done:
            self.run(*client.build.format(scratch=self.scratch).split())
            self._done.add(client.key)
        env = {"CXAI_API_TOKEN": "made-up", "IN_FLIGHT": str(task.in_flight)}
        if task.base_url.startswith("https:"):
            env |= dict.fromkeys(_TRUSTED, str(_CERTIFICATES / "ca.pem"))
        on = self.cores if client.all_cores else self.cores[-1:]
        fields = {"python": sys.executable, "scratch": self.scratch, **asdict(task)}
        return measure([it.format(**fields) for it in client.command.split()], on, self.log, env)

    def do_once(self, client: Client, server: Server, ids: int, in_flight: int = 64) -> Run:
        """Have a client do a new task; what it writes is checked, the first time line by line."""
        with self.task(server, ids, in_flight) as task:
            run = self.do(client, task)
            if client.writes and (client, ids) not in self._done:
                self.run(sys.executable, "-m", "bench.corpus", task.ids, *task.output())
                self._done.add((client, ids))
        return run

    def run(self, *argv: str | Path) -> Run:
        """Run a command that belongs to no task, on the core of the clients."""
        return measure(argv, self.cores[-1:], self.log, {})
