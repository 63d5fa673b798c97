"""Whatever holds a run up is named: the last stage that holds something and passes nothing on."""

import pytest

from cxai.core.watchdog import Stage, Watchdog, stage_counters

AFTER_S = 60.0


class Watched:
    """Loads under a watchdog that looks every second."""

    def __init__(self):
        self.stage_counters = stage_counters()
        self.now = 1_000.0
        self._dog = Watchdog(AFTER_S, self.now)

    def look(self, seconds=1, *, slow_s=0.0):
        """Return what the last of so many looks has found."""
        for _ in range(seconds):
            self.now += 1
            found = self._dog.look(self.stage_counters, self.now, slow_s=slow_s)
        return found


STAGES = [stage for stage in Stage if stage is not Stage.PROCESS]


@pytest.mark.promise(
    "Anything else is stuck: input, look-up, pace, judge, commit",
    "the watchdog names the last stage that holds something and moves nothing",
    group="Stalls",
)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_holds_something_and_passes_nothing_on_is_named(stage):
    watched = Watched()
    watched.look(100)
    watched.stage_counters[stage].enter(3)
    assert watched.look(59) is None
    stall = watched.look(15)
    assert (stall.stage, stall.for_s, stall.holding) == (stage, 74.0, 3)
    watched.stage_counters[stage].leave(1)
    assert watched.look(60) is None


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_empty_or_moves_is_left_alone(stage):
    watched = Watched()
    for _ in range(10):
        watched.stage_counters[stage].enter(5)
        assert watched.look(50) is None
        watched.stage_counters[stage].leave(5)
        assert watched.look(50) is None


def test_of_several_the_last_one_on_the_way_is_named():
    watched = Watched()
    for stage in STAGES:
        watched.stage_counters[stage].enter()
    assert watched.look(70).stage is Stage.COMMIT
    watched.stage_counters[Stage.COMMIT].leave()
    assert watched.look().stage is Stage.JUDGE


def test_a_pace_that_lets_nobody_leave_for_a_reason_is_no_stall():
    watched = Watched()
    watched.stage_counters[Stage.PACE].enter(10)
    assert watched.look(600, slow_s=None) is None  # a pause, an outage
    assert watched.look(150, slow_s=100.0) is None  # one request every 50 seconds
    assert watched.look(20, slow_s=100.0).stage is Stage.PACE


def test_a_pace_that_waits_for_requests_under_way_is_no_stall():
    watched = Watched()
    watched.stage_counters[Stage.PACE].enter(10)
    for _ in range(10):
        watched.stage_counters[Stage.REQUESTS].enter()
        assert watched.look(59) is None
        watched.stage_counters[Stage.REQUESTS].leave()


def test_a_process_that_did_not_run_is_told_of_once():
    watched = Watched()
    watched.stage_counters[Stage.REQUESTS].enter(2)
    watched.now += 3_600
    stall = watched.look()
    assert (stall.stage, stall.for_s) == (Stage.PROCESS, 3_601.0)
    assert watched.look() is None
