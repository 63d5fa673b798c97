"""Each section is a function of the workshop that measures one thing and returns a Section."""

from collections.abc import Callable, Mapping

from bench.page import Section
from bench.sections.again import again
from bench.sections.command import command
from bench.sections.latency import latency
from bench.sections.ledger import ledger
from bench.sections.memory import memory
from bench.sections.pacing import pacing
from bench.sections.scale import scale
from bench.sections.throughput import throughput
from bench.workshop import Workshop

SECTIONS: Mapping[str, Callable[[Workshop], Section]] = {
    "throughput": throughput,
    "latency": latency,
    "pacing": pacing,
    "memory": memory,
    "again": again,
    "command": command,
    "ledger": ledger,
    "scale": scale,
}

BY_DEFAULT = [name for name in SECTIONS if name != "scale"]
"""What is run when nothing is named; the scale takes ten minutes by itself."""
