"""What all sections share: the corpus, the IDs, the servers, and the size of this measurement."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench import corpus, outcome, serving
from bench.clients import Client, Start, Task, output
from bench.machine import Cores
from bench.measurement import ROOT, Run, measured


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: IDs, rounds, and seconds at each pace."""

    ids: int
    rounds: int
    pacing_s: float


class Workshop:
    """A scratch directory with all that measuring needs; `say` tells of progress.

    `peers` are the keys of those that take part.
    """

    def __init__(
        self,
        scratch: Path,
        size: Size,
        cores: Cores,
        *,
        server: str,
        peers: frozenset[str],
        say: Callable[[str], None],
    ) -> None:
        self.scratch = scratch
        self.size = size
        self.cores = cores
        self.server = server
        self.peers = peers
        self.say = say
        self._corpus = scratch / "corpus"
        self._short_corpus = scratch / "short"
        self._numbers = count()
        self._checked: set[tuple[str, int]] = set()

    def make_corpus(self) -> None:
        """Write the bodies."""
        self.say("making the corpus")
        make = [sys.executable, "-m", "bench.corpus"]
        subprocess.run([*make, self._corpus], cwd=ROOT, check=True)
        subprocess.run([*make, self._short_corpus, "--short"], cwd=ROOT, check=True)

    def fast_server(self, *, short: bool = False) -> AbstractContextManager[str]:
        """Return a server that answers at once, only with short bodies if asked; its base URL."""
        corpus = self._short_corpus if short else self._corpus
        return serving.fast_server(self.server, corpus, self.scratch, self.cores)

    def own_server(
        self, delay_s: float = 0.0, *, stamped: bool = False
    ) -> AbstractContextManager[tuple[str, serving.Arrivals]]:
        """Return our own server; entered, its base URL and what it will know of arrivals."""
        return serving.own_server(self._corpus, self.scratch, self.cores, delay_s, stamped=stamped)

    def task(self, ids: int, base_url: str) -> Task:
        """Return a new task of so many IDs."""
        file = self.scratch / f"ids-{ids}.txt"
        if not file.exists():
            # In pieces: what this process once held would count as its children's peak.
            with file.open("w", encoding="utf-8") as lines:
                lines.writelines(f"{one}\n" for one in corpus.ids(ids))
        place = self.scratch / f"task-{next(self._numbers)}"
        place.mkdir()
        return Task(file, base_url, place / "out")

    def ids_of(self, client: Client) -> int:
        """Return how many IDs a client gets."""
        return max(1, round(self.size.ids * client.share))

    def run(self, start: Start, task: Task) -> Run:
        """Do a task and measure it. Raises FailedRunError."""
        return measured(start(task), self.cores.client, self.scratch / "said")

    def run_once(self, client: Client, start: Start, base_url: str, ids: int) -> Run:
        """Do a new task, and clear it away; a client's first output of each size is checked."""
        task = self.task(ids, base_url)
        try:
            run = self.run(start, task)
            if client.writes and (client.key, ids) not in self._checked:
                outcome.check(output(task), task.ids, self._corpus)
                self._checked.add((client.key, ids))
        finally:
            self.clear(task)
        return run

    def clear(self, task: Task) -> None:
        """Remove the output of a task."""
        shutil.rmtree(task.out.parent)
