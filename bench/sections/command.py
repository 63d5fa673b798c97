"""How soon the command answers at all."""

import sys

from bench.measurement import Spread, measured
from bench.page import Claim, Section
from bench.workshop import Workshop

_TARGET_S = 0.25

_HOW = "`cxai --help`, {rounds} times."


def command(workshop: Workshop) -> Section:
    """Measure the help."""
    argv = [sys.executable, "-m", "cxai", "--help"]
    log = workshop.scratch / "said"
    rounds = workshop.size.rounds
    runs = [measured(argv, workshop.cores.client, log) for _ in range(rounds)]
    cpu = Spread.of(run.cpu_s for run in runs)
    wall = Spread.of(run.wall_s for run in runs)
    workshop.say(f"command: {cpu.median:.3f} s of CPU")
    met = cpu.median <= _TARGET_S
    return Section(
        "The command",
        _HOW.format(rounds=rounds),
        ("command", "CPU seconds", "seconds"),
        [("cxai --help", cpu.shown(".3f"), wall.shown(".3f"))],
        [Claim("CPU of cxai --help", f"≤ {_TARGET_S} s", f"{cpu.median:.3f} s", met)],
    )
