"""Who is measured: the worker, the bare floor, and the peers; how each is started."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import found
from bench.measurement import ROOT

BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
"""Has the packages of those peers that need some; `make bench` makes it."""

IN_FLIGHT = 64

_PEERS = Path(__file__).parent / "peers"
_BUILD_S = 300.0


@dataclass(frozen=True, slots=True)
class Task:
    """IDs to ask a server for, and where to: a file, or the worker's directory."""

    ids: Path
    base_url: str
    out: Path


Start = Callable[[Task], Sequence[str | Path]]
"""The command line that does a task."""


class MissingError(Exception):
    """A client can't run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Client:
    """One way to get results.

    It gets `share` of the IDs (at least one), so that each run takes about as long as the others,
    and the start of a process weighs the same in each. `prepare` makes it ready to start, given a
    scratch directory, or raises MissingError. The worker has to be `target` times as fast.
    """

    key: str
    name: str
    share: float
    prepare: Callable[[Path], Start]
    target: float | None = None
    writes: bool = True


def cxai(*options: str) -> Start:
    """Return the start of the real command, with a rate that no machine reaches."""
    return lambda task: [
        sys.executable, "-m", "cxai", "run", task.ids, "--output", task.out,
        "--base-url", task.base_url, "--in-flight", str(IN_FLIGHT), "--progress", "none",
        *(options or ("--rate", "100000")),
    ]  # fmt: skip


def output(task: Task) -> list[Path]:
    """Return the files with the records of a task that is done."""
    return sorted(task.out.glob("records-*.jsonl")) if task.out.is_dir() else [task.out]


def _python(module: str, python: str | Path = sys.executable) -> Callable[[Path], Start]:
    def prepare(_scratch: Path) -> Start:
        return lambda task: [python, "-m", f"bench.peers.{module}", *_arguments(task)]

    return prepare


def _python_with(package: str, module: str) -> Callable[[Path], Start]:
    def prepare(scratch: Path) -> Start:
        try:
            subprocess.run(
                [BENCH_PYTHON, "-c", f"import {package}"], check=True, capture_output=True
            )
        except (OSError, subprocess.SubprocessError):
            raise MissingError(f"{package} is not installed: `make bench` installs it") from None
        return _python(module, BENCH_PYTHON)(scratch)

    return prepare


def _curl_and_jq(_scratch: Path) -> Start:
    for program in ("curl", "jq"):
        if found(program) is None:
            raise MissingError(f"{program} is not installed")
    return lambda task: ["sh", _PEERS / "curl_jq.sh", *_arguments(task)]


def _go(scratch: Path) -> Start:
    go, binary = found("go"), scratch / "go_client"
    if go is None:
        raise MissingError("go is not installed")
    try:
        subprocess.run(
            [go, "build", "-o", binary, _PEERS / "go_client.go"],
            check=True, capture_output=True, text=True, timeout=_BUILD_S,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise MissingError(f"go build fails: {error.stderr.strip()[-200:]}") from None
    return lambda task: [binary, *_arguments(task)]


def _arguments(task: Task) -> list[str | Path]:
    return [task.ids, task.base_url, task.out]


WORKER = Client("worker", "cxai run, full promise", 1.0, lambda _scratch: cxai())
BARE = Client("bare", "bare aiohttp + uvloop, bytes discarded", 3.0, _python("bare"), writes=False)
PEERS = (
    Client("go", "Go, net/http + encoding/json", 0.5, _go, 2.0),
    Client("plain", "aiohttp, one session, defaults", 0.4, _python("plain_aiohttp"), 2.6),
    Client("vendor", "vendor style, aiohttp session per call", 0.3, _python("vendor_style"), 3.2),
    Client("curl", "curl --parallel + jq", 0.2, _curl_and_jq, 4.8),
    Client("requests", "requests + 32 threads", 0.15, _python_with("requests", "requests_threads")),
    Client("scrapy", "Scrapy, JSON Lines feed", 0.1, _python_with("scrapy", "scrapy_spider"), 8.5),
)
