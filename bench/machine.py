"""The machine that is measured on: its cores, and what it is, for those who compare."""

import os
import platform
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]

_PACKAGES = ("cxai-worker", "aiohttp", "uvloop", "msgspec", "orjson", "Brotli", "pycurl")


def cores() -> list[int]:
    """Return the cores that are ours: the server gets the first, a client the last."""
    return sorted(os.sched_getaffinity(0))


@contextmanager
def pinned(to: Collection[int]) -> Iterator[None]:
    """Have all processes that are started within run on some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def interpreter() -> str:
    """Return which Python this is, and whether its build is an optimized one."""
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    build = "PGO build" if "--enable-optimizations" in options else "plain build, no PGO"
    return f"{platform.python_implementation()} {platform.python_version()} ({build})"


def description(programs: Collection[str]) -> dict[str, str]:
    """Return what the machine is, and the versions of `programs`; nothing that names its user."""
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "Processor": f"{named[1] if named else platform.machine()}, {len(cores())} cores",
        "Memory": f"{memory_mib:,} MiB",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Load before": f"{os.getloadavg()[0]:.1f} (one-minute average; an idle machine has 0)",
        "Python": interpreter(),
        "Packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        **{program.capitalize(): _version_of(program) for program in programs},
    }


def _version_of(program: str) -> str:
    if shutil.which(program) is None:
        return "not installed"
    argument = "version" if program == "go" else "--version"
    done = subprocess.run([program, argument], capture_output=True, text=True, check=False)
    number = re.search(r"\d+(\.\d+)+", done.stdout)
    return number[0] if number else "unknown"
