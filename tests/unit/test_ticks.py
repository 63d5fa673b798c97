"""The turns of one worker: in order, each used once, none late."""

import pytest

from cxai.cluster.ticks import SLACK_S, Ticks

NOW = 1_000.0


def ticks_at(*times):
    ticks = Ticks()
    for time in times:
        ticks.add(time, 0.0, 1)
    return ticks


def test_without_ticks_there_is_nothing_to_wait_for():
    assert Ticks().wait_s(NOW) is None


def test_the_next_turn_is_waited_for():
    assert ticks_at(NOW + 0.5).wait_s(NOW) == 0.5


def test_ticks_are_added_a_step_apart():
    ticks = Ticks()
    ticks.add(NOW, 0.25, 3)
    assert len(ticks) == 3
    assert ticks.reach_s(NOW) == 0.5


def test_a_tick_that_is_too_late_is_passed_over():
    ticks = ticks_at(NOW, NOW + 1)
    assert ticks.wait_s(NOW + 2 * SLACK_S) == pytest.approx(1 - 2 * SLACK_S)
    assert ticks.late == 1


def test_each_turn_is_used_once():
    ticks = ticks_at(NOW)
    assert ticks.wait_s(NOW) == 0
    ticks.take()
    assert ticks.send_slot(NOW)
    assert not ticks.send_slot(NOW)


def test_a_turn_that_was_taken_and_not_used_in_time_is_lost():
    ticks = ticks_at(NOW)
    assert ticks.wait_s(NOW) == 0
    ticks.take()
    assert not ticks.send_slot(NOW + 2 * SLACK_S)
    assert ticks.late == 1


def test_a_request_may_use_the_turn_of_another_that_is_still_connecting():
    ticks = ticks_at(NOW, NOW + 1)
    for now in (NOW, NOW + 1):
        assert ticks.wait_s(now) == 0
        ticks.take()
    assert ticks.send_slot(NOW + 1)
    assert not ticks.send_slot(NOW + 1)


def test_what_is_dropped_is_not_used():
    ticks = ticks_at(NOW, NOW)
    ticks.wait_s(NOW)
    ticks.take()
    ticks.drop()
    assert ticks.wait_s(NOW) is None
    assert not ticks.send_slot(NOW)
