"""One run of a command, measured; and what it was measured on."""

import os
import platform
import re
import signal
import subprocess
import sysconfig
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]

_PACKAGES = ("cxai-worker", "aiohttp", "uvloop", "msgspec", "orjson", "Brotli", "pycurl")


class FailedRunError(Exception):
    """A command has failed; the message ends with the end of its output."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a command took, with all processes that it started and waited for.

    `peak_mib` is the largest resident set of any of them.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float


def measure(
    argv: Sequence[str | Path], cores: Collection[int], log: Path, env: Mapping[str, str]
) -> Run:
    """Run a command on some cores, from its start to its end; its output goes to `log`.

    `env` takes the place of all settings of the worker in the environment. Raises FailedRunError
    if the command ends otherwise than with 0.
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith("CXAI_")}
    with log.open("wb") as output, pinned(cores):
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                argv, cwd=ROOT, env={**others, **env}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        except FileNotFoundError:
            raise FailedRunError(f"{str(argv[0]).capitalize()} is not installed") from None
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        words = log.read_text(encoding="utf-8", errors="replace").split()
        raise FailedRunError(f"ended with {process.returncode}: {' '.join(words)[-200:]}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


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


def machine(programs: Collection[str]) -> dict[str, str]:
    """Return what is measured on, and the versions of `programs`; nothing that names its user."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    return {
        "Date": f"{datetime.now(UTC):%Y-%m-%d}",
        "Processor": f"{named[1] if named else platform.machine()}, {cores} cores",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Load before": f"{os.getloadavg()[0]:.1f} (one-minute average; an idle machine has 0)",
        "Python": interpreter(),
        "Packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        **{program.capitalize(): _version_of(program) for program in programs},
    }


def _version_of(program: str) -> str:
    argument = "version" if program == "go" else "--version"
    try:
        said = subprocess.run([program, argument], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    number = re.search(r"\d+(\.\d+)+", said.stdout)
    return number[0] if number else "unknown"
