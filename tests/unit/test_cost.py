"""What a body costs on its way to a line, counted and not timed: the same on any machine.

If a change makes this fail and is worth its price, put the new figures here and say so in the
commit. Python's own share differs by its version; of one that has no figures, nothing is asked.
"""

import gc
import json
import math
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache

import brotli
import pytest

from cxai.api.content_coding import DecodeSettings, decode
from cxai.resources.cx_ai import resource
from cxai.resources.options import Shape
from cxai.simulator.bodies import result_json

MOST_GROWTH = 1.10


@dataclass(frozen=True)
class Cost:
    """What the mean body takes.

    Python instructions and calls are our own share, dicts and lists that are made are that of the
    libraries; `peak_bytes` is the most that Python holds at a time, of the largest body.
    """

    instructions: float
    calls: float
    containers: float
    peak_bytes: float


RECORDED = {
    (3, 11): Cost(instructions=1762, calls=36, containers=12.5, peak_bytes=277_000),
    # Not counted there: containers, since collections no longer begin where one is made; and
    # 3.12.1 tells of no instructions.
    (3, 12): Cost(instructions=math.inf, calls=35, containers=math.inf, peak_bytes=272_000),
    (3, 13): Cost(instructions=1696, calls=35, containers=math.inf, peak_bytes=272_000),
}

BODIES = [brotli.compress(result_json(seed=1, variant=number), quality=1) for number in range(16)]
RESOURCE = resource.CxAi(Shape.NESTED, "3f0c2b6e-7a51-4f0e-9f63-1d3c6a9b2e44")
LIMITS = DecodeSettings(8 << 20, ratio=200.0)
NOW = datetime(2026, 1, 31, 2, 3, 4, tzinfo=UTC)


def work():
    """Send all bodies from their content coding to their lines."""
    for body in BODIES:
        RESOURCE.read("id", decode(body, "br", LIMITS), NOW)


@contextmanager
def tracing(trace=None, profile=None):
    before = sys.gettrace(), sys.getprofile()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])


def counted_instructions():
    count = 0

    def trace(frame, event, _arg):
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    with tracing(trace=trace):
        work()
    return count


def counted_calls():
    count = 0

    def profile(_frame, event, _arg):
        nonlocal count
        count += event in {"call", "c_call"}

    with tracing(profile=profile):
        work()
    return count


def counted_containers():
    """Count collections when every container that is made begins one."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(1, 10**9, 10**9)
    try:
        before = gc.get_stats()[0]["collections"]
        work()
        return gc.get_stats()[0]["collections"] - before
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def peak_bytes():
    with tracing():
        tracemalloc.start()
        try:
            start, _ = tracemalloc.get_traced_memory()
            work()
            return tracemalloc.get_traced_memory()[1] - start
        finally:
            tracemalloc.stop()


def cost():
    work()  # what is made once is no cost of an ID
    bodies = len(BODIES)
    return Cost(
        counted_instructions() / bodies,
        counted_calls() / bodies,
        counted_containers() / bodies,
        peak_bytes(),
    )


@cache
def found(*twice):
    """Return whether a new process imported the validator, and what a body cost there.

    No other test has left objects or modules behind in it.
    """
    done = subprocess.run(
        [sys.executable, __file__, *twice], check=True, capture_output=True, text=True
    )
    has_validator, cost = json.loads(done.stdout)
    return has_validator, Cost(**cost)


def beyond(recorded, now):
    """Return the figures that are more than a tenth above what is recorded."""
    most = {name: MOST_GROWTH * figure for name, figure in asdict(recorded).items()}
    return {name: figure for name, figure in asdict(now).items() if figure > most[name]}


def test_a_body_costs_no_more_than_a_tenth_above_what_is_recorded():
    _, now = found()
    recorded = RECORDED.get(sys.version_info[:2])
    if recorded is None:
        pytest.skip(f"no figures of Python {sys.version_info[:2]} are recorded: {now}")
    assert beyond(recorded, now) == {}, recorded


@pytest.mark.skipif(sys.version_info[:2] not in RECORDED, reason="no figures are recorded")
@pytest.mark.parametrize("step", ["read_regular", "nested_line"])
def test_a_step_that_is_done_twice_is_noticed(step):
    _, now = found(step)
    assert beyond(RECORDED[sys.version_info[:2]], now)


def test_regular_bodies_are_read_without_importing_the_validator():
    has_validator, _ = found()
    assert not has_validator


def do_twice(step):
    once = getattr(resource, step)
    setattr(resource, step, lambda *given: (once(*given), once(*given))[1])


if __name__ == "__main__":
    for name in sys.argv[1:]:
        do_twice(name)
    now = asdict(cost())
    sys.stdout.write(json.dumps(["cxai.resources.cx_ai.read" in sys.modules, now]))
