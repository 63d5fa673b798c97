"""A part is old a given time after its first row, even if another run wrote that row."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from cxai.ledger.part_ages import PartAges

START = datetime(2026, 11, 27, 3, tzinfo=UTC)


class HandClock:
    """A clock that is moved by hand; `utc` can be set independently."""

    def __init__(self):
        self.now = 1_000.0
        self.shift = timedelta()

    def monotonic(self):
        return self.now

    def utc(self):
        return START + timedelta(seconds=self.now - 1_000.0) + self.shift


@pytest.fixture
def clock():
    return HandClock()


def test_a_part_is_old_a_given_time_after_its_first_row_not_its_last(clock):
    ages = PartAges(60.0, clock, {})
    assert ages.next_s() == 60.0
    ages.begin(["records"])
    clock.now += 40
    ages.begin(["records", "failures"])
    assert ages.next_s() == 20.0
    assert not ages.are_old(["records"])
    clock.now += 20
    assert ages.are_old(["records"])
    assert ages.are_old(["scores", "records"])  # one of those that are sealed together
    assert not ages.are_old(["failures"])
    ages.end(["records"])
    assert not ages.are_old(["records"])
    assert ages.next_s() == 40.0


def test_a_part_without_rows_is_never_old(clock):
    ages = PartAges(60.0, clock, {})
    clock.now += 1_000
    assert not ages.are_old(["records"])


def test_without_an_age_no_part_is_ever_old(clock):
    ages = PartAges(None, clock, {})
    ages.begin(["records"])
    clock.now += 1e9
    assert not ages.are_old(["records"])
    assert ages.next_s() == math.inf


def test_the_age_counts_from_the_first_row_even_of_an_earlier_run(clock):
    clock.now += 45
    ages = PartAges(60.0, clock, {"records": "2026-11-27T03:00:00.000Z"})
    assert ages.next_s() == 15.0


def test_a_first_row_in_the_future_counts_from_now(clock):
    ages = PartAges(60.0, clock, {"records": "2027-11-27T03:00:00.000Z"})
    assert ages.next_s() == 60.0


def test_a_step_of_the_wall_clock_does_not_change_the_age(clock):
    ages = PartAges(60.0, clock, {})
    ages.begin(["records"])
    clock.shift = timedelta(days=2)
    assert not ages.are_old(["records"])
