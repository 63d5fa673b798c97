"""What is measured: the worker, the bare floor, and the peers; one row each."""

import shutil
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Client:
    """One way to get results.

    It gets `share` of the IDs, so that all runs take about as long and the start of a process
    weighs the same in each. In `command` the fields of a Task are filled in, as are {python} and
    {scratch}; before it comes `build`, once.
    """

    name: str
    share: float
    command: str
    build: str = ""


WORKER = Client(
    "cxai run, durable, exactly once", 1.0,
    "{python} -m cxai run {ids} --output {out} --base-url {base_url} --in-flight {in_flight}"
    " --progress none --rate 100000 --readers 0",
)  # fmt: skip


def worker(options: str) -> Client:
    """Return the worker with more options, of which the last of a name counts."""
    return replace(WORKER, name=f"cxai run {options}", command=f"{WORKER.command} {options}")


_TASK = "{ids} {base_url} {out}"
_AIOHTTP = "{python} -m bench.peers.aiohttp_client"
_FETCH = f"bench/peers/fetch_client.mjs {_TASK}"

BARE = Client("bare aiohttp + uvloop, bytes discarded", 2.5, f"{_AIOHTTP} bare {_TASK}")
FETCH = Client("Bun, fetch + JSON", 1.5, f"bun {_FETCH}")
if shutil.which("node") and not shutil.which("bun"):
    FETCH = Client("Node, fetch + JSON", 0.3, f"node {_FETCH}")
GO = Client(
    "Go, net/http + encoding/json", 0.5, f"{{scratch}}/go_client {_TASK}",
    "go build -o {scratch}/go_client bench/peers/go_client.go",
)  # fmt: skip
PLAIN = Client("aiohttp, one session, defaults", 0.3, f"{_AIOHTTP} plain {_TASK}")
PEERS = (
    FETCH,
    Client("pycurl + orjson", 1.2, f"{{python}} -m bench.peers.pycurl_client {_TASK}"),
    GO,
    PLAIN,
    Client("vendor style, a session per call", 0.2, f"{_AIOHTTP} vendor {_TASK}"),
    Client("curl --parallel + jq", 0.2, f"sh bench/peers/curl_jq.sh {_TASK}"),
)
