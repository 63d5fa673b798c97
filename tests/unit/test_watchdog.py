"""Whatever holds a run up is named: the last stage that holds something and passes nothing on."""

import pytest

from cxai.core.watchdog import Section, Watchdog, loads

AFTER_S = 60.0


class Watched:
    """Loads under a watchdog that looks every second."""

    def __init__(self):
        self.loads = loads()
        self.now = 1_000.0
        self._dog = Watchdog(AFTER_S, self.now)

    def look(self, seconds=1, *, slow_s=0.0):
        """Return what the last of so many looks has found."""
        for _ in range(seconds):
            self.now += 1
            found = self._dog.look(self.loads, self.now, slow_s=slow_s)
        return found


STAGES = [section for section in Section if section is not Section.PROCESS]


@pytest.mark.promise(
    "Anything else is stuck: input, look-up, pace, judge, commit",
    "the watchdog names the last stage that holds something and moves nothing",
    group="Stalls",
)
@pytest.mark.parametrize("section", STAGES)
def test_a_stage_that_holds_something_and_passes_nothing_on_is_named(section):
    watched = Watched()
    watched.look(100)
    watched.loads[section].enter(3)
    assert watched.look(59) is None
    stall = watched.look(15)
    assert (stall.section, stall.for_s, stall.holding) == (section, 74.0, 3)
    watched.loads[section].leave(1)
    assert watched.look(60) is None


@pytest.mark.parametrize("section", STAGES)
def test_a_stage_that_is_empty_or_moves_is_left_alone(section):
    watched = Watched()
    for _ in range(10):
        watched.loads[section].enter(5)
        assert watched.look(50) is None
        watched.loads[section].leave(5)
        assert watched.look(50) is None


def test_of_several_the_last_one_on_the_way_is_named():
    watched = Watched()
    for section in STAGES:
        watched.loads[section].enter()
    assert watched.look(70).section is Section.COMMIT
    watched.loads[Section.COMMIT].leave()
    assert watched.look().section is Section.JUDGE


def test_a_pace_that_lets_nobody_leave_for_a_reason_is_no_stall():
    watched = Watched()
    watched.loads[Section.PACE].enter(10)
    assert watched.look(600, slow_s=None) is None  # a pause, an outage
    assert watched.look(150, slow_s=100.0) is None  # one request every 50 seconds
    assert watched.look(20, slow_s=100.0).section is Section.PACE


def test_a_pace_that_waits_for_requests_under_way_is_no_stall():
    watched = Watched()
    watched.loads[Section.PACE].enter(10)
    for _ in range(10):
        watched.loads[Section.REQUESTS].enter()
        assert watched.look(59) is None
        watched.loads[Section.REQUESTS].leave()


def test_a_process_that_did_not_run_is_told_of_once():
    watched = Watched()
    watched.loads[Section.REQUESTS].enter(2)
    watched.now += 3_600
    stall = watched.look()
    assert (stall.section, stall.for_s) == (Section.PROCESS, 3_601.0)
    assert watched.look() is None
