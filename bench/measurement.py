"""One run of a command, measured; and how the runs of several rounds spread."""

import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.machine import pinned

ROOT = Path(__file__).parents[1]
TOKEN = "made-up"  # noqa: S105 - the servers here accept any

_T = TypeVar("_T")

_LONGEST_RUN_S = 1_800.0
_TOLD_CHARACTERS = 200


class FailedRunError(Exception):
    """A command has ended badly; the message ends with its last line."""


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


def measured(argv: Sequence[str | Path], core: int, log: Path) -> Run:
    """Run a command on one core, from its start to its end.

    What it says goes to `log`. Raises FailedRunError if it can't be started or ends otherwise
    than with 0.
    """
    with log.open("wb") as said, pinned(core):
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                argv, cwd=ROOT, env=_environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
        except OSError as error:
            raise FailedRunError(f"{argv[0]}: {error.strerror}") from error
        guard = threading.Timer(_LONGEST_RUN_S, _kill, [process.pid])
        guard.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _kill(process.pid)
            raise
        finally:
            guard.cancel()
        wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise FailedRunError(f"ended with {process.returncode}: {_last_line(log)}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def interleaved(things: Sequence[_T], rounds: int) -> Iterator[tuple[int, _T]]:
    """Yield the number of the round (from 0) and each thing, in reverse in each second round."""
    for number in range(rounds):
        for thing in things if number % 2 == 0 else things[::-1]:
            yield number, thing


def _environment() -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("CXAI_")}
    return {**others, "CXAI_API_TOKEN": TOKEN}


def _last_line(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text.rpartition("\n")[2][-_TOLD_CHARACTERS:]


def _kill(process_group: int) -> None:
    os.killpg(process_group, signal.SIGKILL)
