"""One run of a command, measured; and how the figures of several rounds spread."""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import ROOT, pinned

_SHOWN_CHARACTERS = 200


class FailedRunError(Exception):
    """A command has failed; the message ends with its last line."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a command took, with all processes that it started and waited for.

    `peak_bytes` is the largest resident set of any of them.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> "Spread":
        """Return the spread of one figure at least."""
        ordered = sorted(figures)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def shown(self, form: str) -> str:
        """Return `median (low-high)`, each in a form such as `.2f`; one figure stands alone."""
        if self.low == self.high:
            return f"{self.median:{form}}"
        return f"{self.median:{form}} ({self.low:{form}}–{self.high:{form}})"  # noqa: RUF001


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
        process = subprocess.Popen(
            argv, cwd=ROOT, env={**others, **env}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").strip()
        last = lines.rpartition("\n")[2][-_SHOWN_CHARACTERS:]
        raise FailedRunError(f"ended with {process.returncode}: {last}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
