"""How many readers a run uses, and when it needs them."""

import os
import sys

import pytest
from support.store import RUN_ID

from cxai.app.wiring import open_reader
from cxai.core.events import EventStream
from cxai.observe.redaction import Redaction
from cxai.readers.sizing import LoopLoad, readers_for, usable_cores
from cxai.resources.options import RowOptions, Shape
from cxai.resources.registry import open_resource
from cxai.settings import Settings


@pytest.mark.parametrize(
    ("setting", "rate", "cores", "readers"),
    [
        ("auto", 100_000, 2, 1),
        ("auto", 200, 2, 1),
        ("auto", 199, 2, 0),  # one core is enough
        ("auto", 5, 64, 0),
        ("auto", 100_000, 1, 0),  # no other core
        ("auto", 100_000, 4, 3),
        ("auto", 100_000, 64, 4),  # one event loop can't keep more busy
        (0, 100_000, 64, 0),
        (3, 5, 1, 3),  # a number is used as given
    ],
)
def test_a_run_uses_as_many_readers_as_are_useful(setting, rate, cores, readers):
    assert readers_for(setting, rate, cores) == readers


@pytest.mark.parametrize(
    ("quota", "most"),
    [("max 100000", 64), ("150000 100000", 1), ("50000 100000", 1), ("", 64), ("?", 64)],
)
@pytest.mark.parametrize("cgroup", ["0::/", "3:cpu:/old\n0::/system.slice/cxai.service"])
def test_the_usable_cores_are_limited_by_affinity_and_quota(tmp_path, quota, most, cgroup):
    own, cgroups = tmp_path / "own", tmp_path / "cgroups"
    own.write_text(cgroup + "\n")
    limits = cgroups / cgroup.rpartition("0::/")[2]
    limits.mkdir(parents=True)
    (limits / "cpu.max").write_text(quota + "\n")
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cores(own, cgroups) == min(affinity, most)
    assert usable_cores(tmp_path / "missing", cgroups) == affinity


@pytest.mark.parametrize(
    ("setting", "rate", "reader"),
    [("auto", 5, "BodyReader"), (0, 100_000, "BodyReader"), (1, 5, "ReaderPool")],
)
async def test_a_run_without_readers_does_not_import_them(monkeypatch, setting, rate, reader):
    monkeypatch.delitem(sys.modules, "cxai.readers.pool", raising=False)
    settings = Settings(readers=setting, rate=rate)
    rows = RowOptions(Shape.NESTED, RUN_ID)
    resource = open_resource(settings.resource, rows)
    async with open_reader(settings, rows, resource, Redaction(), EventStream()) as opened:
        assert type(opened).__name__ == reader
    assert ("cxai.readers.pool" in sys.modules) is (reader == "ReaderPool")


class Clocks:
    """The clocks of a thread that uses CPU for a share of the time."""

    def __init__(self):
        self.elapsed_s = self.computed_s = 100.0
        self.load = LoopLoad(lambda: self.computed_s, lambda: self.elapsed_s)

    def after(self, seconds, share):
        self.elapsed_s += seconds
        self.computed_s += share * seconds
        return self.load.is_high()


def test_a_load_is_high_when_most_of_a_second_was_spent_computing():
    clocks = Clocks()
    assert not clocks.after(5.0, 1.0)  # the first sample: startup does not count
    assert not clocks.after(0.5, 1.0)
    assert clocks.after(0.5, 1.0)
    assert clocks.load.share == pytest.approx(1.0)


def test_a_load_is_low_when_the_thread_mostly_waits():
    clocks = Clocks()
    clocks.after(0.0, 0.0)
    assert not any(clocks.after(0.25, share) for share in [1.0, 0.1, 1.0, 0.1] * 10)
    assert not clocks.after(60.0, 0.05)
    assert clocks.after(1.0, 0.75)
