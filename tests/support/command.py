"""The real `cxai` command, as its users start it, and its real exports, as they read them."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.forked import FORKS

TOKEN = "canary-7f3a9c51e0"  # noqa: S105 - looks like nothing else, so that a leak is seen


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def environment(**more):
    """Return the environment of a user who has set a token and nothing else of ours."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CXAI_")}
    return {**ours, "CXAI_API_TOKEN": TOKEN, "COLUMNS": "100", **more}


def cxai_argv(*arguments):
    return [sys.executable, "-m", "cxai", *map(str, arguments)]


def cxai(*arguments, stdin=None, timeout_s=60, env=None, cwd=None, first=None, forks=FORKS):
    """Run `cxai` to its end. `first` is Python that its process runs before: a fault to test."""
    command = start_cxai(
        *arguments, env=env, cwd=cwd, stdin=subprocess.PIPE, first=first, forks=forks
    )
    try:
        out, err = command.communicate(stdin or b"", timeout_s)
    finally:
        command.kill()
    return Ended(command.returncode, out.decode(), err.decode())


def start_cxai(
    *arguments, env=None, cwd=None, stdin=None, umask=-1, first=None, forks=FORKS, **how
):
    """Start `cxai` and return its process, which has pipes for its output.

    It is forked from a process that has its imports, unless that would make a difference, or
    `forks` is None.
    """
    env = env or environment()
    if forks is None or how or not forks.can_start(env):
        argv = cxai_argv(*arguments)
        if first:
            argv[1:3] = ["-c", f"{first}\nfrom cxai.__main__ import main\nmain()"]
        pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(argv, env=env, cwd=cwd, umask=umask, **pipes, **how)
    process = forks.start(arguments, env, cwd, umask, first)
    if stdin is None:
        end_input(process)
    return process


def end_input(process):
    process.stdin.close()
    process.stdin = None


def rows(directory, part_set="records", *, sealed_only=True):
    """Return all rows of a part set, as a loader that knows nothing of us would read them."""
    pattern = f"{part_set}-*.jsonl" if sealed_only else f"{part_set}-*.jsonl*"
    return [
        json.loads(line)
        for path in sorted(Path(directory).glob(pattern))
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]
    ]


def verdicts(directory):
    """Return how often each verdict stands in the failures, and `ok` for each record."""
    counts = Counter(row["verdict"] for row in rows(directory, "failures"))
    counts["ok"] = len(rows(directory))
    return counts


def verdict_by_id(directory):
    """Return the verdict of each ID: `ok` if it has a record, else what its last failure says."""
    failed = {row["interaction_id"]: row["verdict"] for row in rows(directory, "failures")}
    return failed | {row["interaction_id"]: "ok" for row in rows(directory)}
