"""An export that workers share, as its users set it up and run it: a fixture."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.cluster_checker import Exported, Volume
from support.command import cxai, environment, start_cxai
from support.postgres import Database
from support.waiting import PATIENCE_S

QUICK = {"CXAI_RECHECK_S": "0.2", "CXAI_BACKOFF_BASE_S": "0.1", "CXAI_PROGRESS": "none"}
LIMITS = ("--rate", "200", "--in-flight", "8", "--flush", "0.5", "--total-timeout", "5")


@dataclass
class Shared:
    """An export named `nightly`: a database and a directory for its objects."""

    database: Database
    place: Path
    url: str
    env: dict = field(default_factory=lambda: environment(**QUICK))

    def init(self, api, *more):
        server = self.url.removesuffix("#nightly")
        return cxai(
            "cluster", "init", server, "--export", "nightly", "-o", self.place,
            "--base-url", api.base_url, *LIMITS, *more, env=self.env,
        )  # fmt: skip

    def enqueue(self, *lines, last=True):
        more = ["--last"] if last else []
        text = "\n".join(lines).encode()
        return cxai("enqueue", "-", "--to", self.url, "--json", *more, stdin=text, env=self.env)

    def finish(self):
        """Mark the input as complete."""
        ended = cxai("enqueue", "--last", "--to", self.url)
        assert ended.code == 0, ended.err

    def start(self, *more):
        return start_cxai("run", self.url, "--json", *more, env=self.env)

    @contextmanager
    def worker(self, *more):
        """Start a worker that ends when all is settled; it is gone in the end."""
        process = self.start("--until-settled", *more)
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)

    def work(self, *more):
        return cxai("run", self.url, "--until-settled", "--json", *more, env=self.env)

    def rows(self, part_set):
        objects = sorted((self.place / part_set).glob(f"{part_set}-*.jsonl"))
        return [json.loads(line) for one in objects for line in one.read_text().splitlines()]

    def problems(self, ids, scenario):
        """Return what is wrong with the export, as an independent checker sees it."""
        exported = Exported(self.database, "nightly", Volume(self.place), "none")
        return list(exported.problems(ids, scenario))


@pytest.fixture
def shared(database, tmp_path):
    """Return an export that is not set up yet."""
    return Shared(database, tmp_path / "objects", database.url("nightly"))
