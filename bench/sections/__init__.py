"""Each section is a function of the BenchContext that measures one thing and returns a Section."""

from collections.abc import Callable, Mapping

from bench.context import BenchContext
from bench.page import Section
from bench.sections.pacing import pacing
from bench.sections.scale import scale
from bench.sections.start import start
from bench.sections.throughput import all_cores, latency, one_core

SECTIONS: Mapping[str, Callable[[BenchContext], Section]] = {
    "one-core": one_core,
    "all-cores": all_cores,
    "latency": latency,
    "pacing": pacing,
    "start": start,
    "scale": scale,
}

ON_DEMAND = {"scale"}
"""What runs only when it is named: it takes ten minutes by itself."""
