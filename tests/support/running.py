"""A real `cxai run` under way, to be looked at, signalled or waited for."""

import re
import subprocess
import threading
from contextlib import contextmanager

from support.command import end_input, environment, start_cxai
from support.waiting import PATIENCE_S


@contextmanager
def running(api, export, ids, *arguments, input_ends=True, env=None, **how):
    """Start a run that reads `ids` from a pipe; it is gone in the end, whatever happens."""
    process = start_cxai(
        "run", "-o", export, "--base-url", api.base_url, "--rate", "1000", *arguments,
        stdin=subprocess.PIPE, env=env or environment(), **how,
    )  # fmt: skip
    try:
        process.stdin.write("".join(f"{one}\n" for one in ids).encode())
        process.stdin.flush()
        if input_ends:
            end_input(process)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def ended(process):
    """Wait for the end and return (exit code, standard output, standard error)."""
    if process.stdin is not None:
        process.wait(PATIENCE_S)  # communicate() would end the input
    out, errors = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out.decode(), errors.decode()


def wait_for_line(run, pattern):
    """Read the run's standard error until a line has the pattern."""
    too_late = threading.Timer(PATIENCE_S, run.kill)
    too_late.start()
    try:
        for line in run.stderr:
            if re.search(pattern, line.decode()):
                return
    finally:
        too_late.cancel()
    raise AssertionError(f"no line had {pattern}")
