"""What is measured: the worker, the bare floor, and the peers; one row each."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """IDs to ask a server for, and where to: a file, or the worker's directory."""

    ids: Path
    base_url: str
    out: Path
    in_flight: int

    def output(self) -> Iterator[Path]:
        """Return the files with its records, once it is done."""
        return self.out.glob("records-*.jsonl") if self.out.is_dir() else iter([self.out])


@dataclass(frozen=True)
class Client:
    """One way to get results.

    It gets `share` of the IDs, so that all runs take about as long and the start of a process
    weighs the same in each. `command` does a Task, whose fields are filled in, as are {python} and
    {scratch}; before it comes `build`, once. `needs` are programs.
    """

    key: str
    name: str
    share: float
    command: str
    needs: tuple[str, ...] = ()
    build: str = ""
    writes: bool = True
    all_cores: bool = False

    def missing(self) -> str | None:
        """Return why it can't run here; None if it can."""
        absent = [name for name in self.needs if shutil.which(name) is None]
        return f"{absent[0].capitalize()} is not installed" if absent else None


WORKER = Client(
    "worker", "cxai run, durable, exactly once", 1.0,
    "{python} -m cxai run {ids} --output {out} --base-url {base_url} --in-flight {in_flight}"
    " --progress none --rate 100000 --readers 0",
)  # fmt: skip


def worker(options: str) -> Client:
    """Return the worker with more options, of which the last of a name counts."""
    return replace(WORKER, command=f"{WORKER.command} {options}")


_TASK = "{ids} {base_url} {out}"
_AIOHTTP = "{python} -m bench.peers.aiohttp_client"
_FETCH = f"bench/peers/fetch_client.mjs {_TASK}"

BARE = Client(
    "bare", "bare aiohttp + uvloop, bytes discarded", 2.5, f"{_AIOHTTP} bare {_TASK}", writes=False
)
BUN = Client("bun", "Bun, fetch + JSON", 1.5, f"bun {_FETCH}", ("bun",))
GO = Client(
    "go", "Go, net/http + encoding/json", 0.5, f"{{scratch}}/go_client {_TASK}", ("go",),
    "go build -o {scratch}/go_client bench/peers/go_client.go",
)  # fmt: skip
PLAIN = Client("plain", "aiohttp, one session, defaults", 0.3, f"{_AIOHTTP} plain {_TASK}")
PEERS = (
    BUN,
    Client("pycurl", "pycurl + orjson", 1.2, f"{{python}} -m bench.peers.pycurl_client {_TASK}"),
    GO,
    Client("node", "Node, fetch + JSON", 0.5, f"node {_FETCH}", ("node",)),
    PLAIN,
    Client("vendor", "vendor style, a session per call", 0.2, f"{_AIOHTTP} vendor {_TASK}"),
    Client(
        "curl", "curl --parallel + jq", 0.2, f"sh bench/peers/curl_jq.sh {_TASK}", ("curl", "jq")
    ),
)
