"""The machine that is measured on: its cores, and what it is, for those who compare."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_MIB = 1 << 20
_PACKAGES = ("aiohttp", "uvloop", "pydantic", "orjson", "Brotli")


@dataclass(frozen=True)
class Cores:
    """Which core the client runs on, and which the server; the same if there is only one."""

    client: int
    server: int


def cores() -> Cores:
    """Return the last of our cores for the client and the first for the server."""
    ours = sorted(os.sched_getaffinity(0))
    return Cores(client=ours[-1], server=ours[0])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Have all processes that are started within run on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def description() -> dict[str, str]:
    """Return what the machine is; nothing that names it or its user."""
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB
    return {
        "Processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "Memory": f"{memory_mib:,} MiB",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Load before": f"{os.getloadavg()[0]:.1f} (one-minute average; an idle machine has 0)",
    }


def versions(bench_python: Path) -> dict[str, str]:
    """Return the versions of what takes part; `bench_python` has the packages of some peers."""
    ours = [f"{name} {version(name)}" for name in _PACKAGES]
    theirs = "from importlib.metadata import version as v; print(v('requests'), v('scrapy'))"
    found = _said(str(bench_python), "-c", theirs).split()
    return {
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "cxai-worker": version("cxai-worker"),
        "Packages": ", ".join(ours),
        "requests, Scrapy": ", ".join(found) or "not installed",
        "Go": _version_of("go", "version"),
        "curl": _version_of("curl", "--version"),
        "jq": _version_of("jq", "--version"),
        "nginx": _version_of("nginx", "-v"),
    }


def found(program: str) -> str | None:
    """Return where a program is, also in the places for the administrator's; None if nowhere."""
    return shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")


def _version_of(program: str, *arguments: str) -> str:
    path = found(program)
    if path is None:
        return "not installed"
    number = re.search(r"\d+(\.\d+)+", _said(path, *arguments))
    return number[0] if number else "unknown"


def _said(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout + done.stderr


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.machine()


def require_linux() -> None:
    """End with a message where the measurements can't be taken."""
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("bench: cores are pinned with Linux's sched_setaffinity; this is no Linux.")
