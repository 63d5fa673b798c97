"""A server in a process of its own, pinned to its core, for as long as it is needed."""

import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from bench.machine import Cores, found, pinned
from bench.measurement import ROOT

_START_S = 20.0
_NGINX_CONF = Path(__file__).with_name("nginx.conf")


class Arrivals:
    """When each request arrived at the server, in seconds, in order; known once it has ended."""

    def __init__(self) -> None:
        self.times = array("d")


@contextmanager
def fast_server(kind: str, corpus: Path, scratch: Path, cores: Cores) -> Iterator[str]:
    """Serve at once, by nginx or by our own server; yield the base URL."""
    if kind == "nginx":
        with _nginx(corpus, scratch, cores) as base_url:
            yield base_url
    else:
        with own_server(corpus, scratch, cores) as (base_url, _arrivals):
            yield base_url


def kind_of_server(asked: str) -> str:
    """Return `nginx` or `own`; `auto` takes nginx where it is installed."""
    if asked != "auto":
        return asked
    return "nginx" if found("nginx") else "own"


@contextmanager
def own_server(
    corpus: Path, scratch: Path, cores: Cores, delay_s: float = 0.0, *, stamped: bool = False
) -> Iterator[tuple[str, Arrivals]]:
    """Serve by our own server, each response `delay_s` late; yield the base URL and arrivals.

    These are as read by the server or, if `stamped`, as the kernel noted them.
    """
    log, arrivals = scratch / "arrivals", Arrivals()
    argv = [sys.executable, "-m", "bench.server", corpus, log]
    argv += ["--delay", str(delay_s), *(["--stamped"] if stamped else [])]
    with pinned(cores.server):
        process = subprocess.Popen(
            argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
    with process:
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError("bench.server has not started.")
            yield f"http://127.0.0.1:{port}", arrivals
        finally:
            process.terminate()
    noted = array("d", log.read_bytes())
    arrivals.times.extend(sorted(noted))  # connections are not read in the order of arrival


@contextmanager
def _nginx(corpus: Path, scratch: Path, cores: Cores) -> Iterator[str]:
    program = found("nginx")
    if program is None:
        raise RuntimeError("nginx is not installed.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = Template(_NGINX_CONF.read_text(encoding="utf-8"))
    file = scratch / "nginx.conf"
    file.write_text(conf.substitute(PORT=port, CORPUS=corpus, SCRATCH=scratch), encoding="utf-8")
    errors = (scratch / "nginx.log").open("wb")
    with errors, pinned(cores.server):
        process = subprocess.Popen(
            [program, "-p", scratch, "-c", file], stderr=errors, start_new_session=True
        )
    with process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("nginx has not started: see nginx.log in the scratch directory.")
