"""What all sections share: the IDs, the servers, and how much is measured."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench import corpus
from bench.clients import Client, Task, filled
from bench.machine import cores
from bench.measurement import FailedRunError, Run, measure
from bench.serving import CERTIFICATES, Server

_MOST_SECONDS, _IDS_A_SECOND = 10.0, 2_000
_TRUSTED = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")


@dataclass(slots=True)
class BenchContext:
    """A scratch directory, how many IDs the worker gets, and how often each client has its turn."""

    scratch: Path
    ids: int
    rounds: int
    report: Callable[[str], None]
    cores: list[int] = field(default_factory=cores)
    _numbers: Iterator[int] = field(default_factory=count)
    _done: set[object] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """How long to measure where time decides and not the number of IDs: 2 to 10."""
        return min(_MOST_SECONDS, max(2.0, self.ids / _IDS_A_SECOND))

    @property
    def log(self) -> Path:
        """The output of the last command."""
        return self.scratch / "log"

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
            self.run(*filled(client.build, self.scratch))
            self._done.add(client.key)
        env = {"CXAI_API_TOKEN": "made-up", "IN_FLIGHT": str(task.in_flight)}
        if task.base_url.startswith("https:"):
            env |= dict.fromkeys(_TRUSTED, str(CERTIFICATES / "ca.pem"))
        on = self.cores if client.all_cores else self.cores[-1:]
        return measure(client.argv(task, self.scratch), on, self.log, env)

    def do_once(self, client: Client, server: Server, ids: int, in_flight: int = 64) -> Run:
        """Have a client do a new task; what it writes is checked, the first time line by line."""
        with self.task(server, ids, in_flight) as task:
            run = self.do(client, task)
            if client.writes and (client, ids) not in self._done:
                self.run(sys.executable, "-m", "bench.corpus", task.ids, *task.output())
                self._done.add((client, ids))
            elif client.writes and (lines := _lines(task.output())) != ids:
                raise FailedRunError(f"wrote {lines:,} lines for {ids:,} IDs")
        return run

    def run(self, *argv: str | Path) -> Run:
        """Run a command that belongs to no task, on the core of the clients."""
        return measure(argv, self.cores[-1:], self.log, {})


def _lines(files: Iterator[Path]) -> int:
    total = 0
    for file in files:
        with file.open("rb") as opened:
            total += sum(part.count(b"\n") for part in iter(lambda: opened.read(1 << 20), b""))
    return total
