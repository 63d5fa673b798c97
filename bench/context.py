"""What all sections share: the IDs, the server, the tasks, and how much is measured."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import NamedTuple

from support.certificate import CA

from bench import corpus
from bench.clients import BARE, Client
from bench.measurement import ROOT, FailedRunError, Run, measure, pinned

_TRUSTED = dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), str(CA))


class Server(NamedTuple):
    """A server that runs (bench/server.py)."""

    base_url: str
    process: Popen[bytes]

    def arrivals(self) -> list[float]:
        """Return when the requests since the last call arrived, in seconds, in order."""
        self.process.stdin.write(b"?")
        self.process.stdin.flush()
        return sorted(json.loads(self.process.stdout.readline()))


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
    apart: bool = True  # the server has the first core, a client the last one; else both have all
    cores: list[int] = field(default_factory=lambda: sorted(os.sched_getaffinity(0)))
    _done: set[object] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """How long to measure where time decides and not the number of IDs: 2 to 10."""
        return min(10.0, max(2.0, self.ids / 2_000))

    @contextmanager
    def server(self, *options: str) -> Iterator[Server]:
        """Yield a server with options of bench/server.py."""
        argv = [sys.executable, "-m", "bench.server", *options]
        with pinned(self.cores[:1] if self.apart else self.cores):
            process = Popen(argv, cwd=ROOT, start_new_session=True, stdin=PIPE, stdout=PIPE)
        with process:  # which closes its input: so it ends
            port = process.stdout.readline().decode().strip()
            if not port:
                raise FailedRunError("bench.server has not started")
            host = "https://localhost" if "--tls" in options else "http://127.0.0.1"
            yield Server(f"{host}:{port}", process)

    @contextmanager
    def task(self, server: Server, ids: int, in_flight: int = 64) -> Iterator[Task]:
        """Yield a new task of so many IDs; in the end its files are removed."""
        with TemporaryDirectory(dir=self.scratch) as place:
            task = Task(Path(place) / "ids.txt", server.base_url, Path(place) / "out", in_flight)
            with task.ids.open("w", encoding="utf-8") as lines:
                lines.writelines(f"{one}\n" for one in corpus.ids(ids))
            yield task

    def do(self, client: Client, task: Task) -> Run:
        """Have a client do a task. Raises FailedRunError."""
        if client.build and client.build not in self._done:
            self.run(*client.build.format(scratch=self.scratch).split())
            self._done.add(client.build)
        env = {"CXAI_API_TOKEN": "made-up", "IN_FLIGHT": str(task.in_flight)}
        env |= _TRUSTED if task.base_url.startswith("https:") else {}
        fields = {"python": sys.executable, "scratch": self.scratch, **task._asdict()}
        argv = [word.format(**fields) for word in client.command.split()]
        run = self.run(*argv, env=env)
        print(f"{client.name}: {run}", file=sys.stderr, flush=True)
        return run

    def do_once(self, client: Client, server: Server, ids: int, in_flight: int = 64) -> Run:
        """Have a client do a new task; the first time, what it has written is checked."""
        with self.task(server, ids, in_flight) as task:
            run = self.do(client, task)
            if client != BARE and (client, ids) not in self._done:
                self.run(sys.executable, "-m", "bench.corpus", task.ids, task.out)
                self._done.add((client, ids))
        return run

    def run(self, *argv: str | Path, env: Mapping[str, str] = {}) -> Run:
        """Run a command; its output goes to the log."""
        cores = self.cores[-1:] if self.apart else self.cores
        return measure(argv, cores, self.scratch / "log", env)
