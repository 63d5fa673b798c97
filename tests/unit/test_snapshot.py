"""What is told of a run while it goes."""

from collections import Counter

import pytest

from cxai.core.tally import Tally
from cxai.core.watchdog import Section, Stall, loads
from cxai.observe.snapshot import NoRoom, Observer, Pulse, short, state
from cxai.policy.verdict import Verdict

START = 1_000.0


def pulse(tally=None, **more):
    quiet = {
        "in_flight": 0,
        "loads": loads(),
        "no_room": None,
        "open": 0,
        "waiting": 0,
        "next_retry_s": None,
        "input_ended": False,
        "expected_lines": None,
        "ending": False,
        "paused": None,
        "outage_s": None,
        "trouble": None,
        "rate_allowed": 5.0,
        "rate_ceiling": 5.0,
        "in_flight_allowed": 10,
        "in_flight_ceiling": 10,
    }
    return Pulse(tally or Tally(), **(quiet | more))


def settled(ok, *, requests=None, **lines):
    return Tally(
        lines=lines.pop("lines", ok),
        ids=lines.pop("ids", ok),
        now=Counter({Verdict.OK: ok}),
        requests=ok if requests is None else requests,
        **lines,
    )


# --- the state, in words ---


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ({}, "waiting for the first line"),
        ({"tally": Tally(lines=3, blanks=3)}, "waiting for input"),
        ({"open": 3, "in_flight": 2}, "working"),
        ({"open": 3, "in_flight": 0}, "working"),  # between two requests of a slow pace
        ({"open": 3, "waiting": 2, "next_retry_s": 5.0}, "working"),
        (
            {"open": 2, "waiting": 2, "next_retry_s": 5.4},
            "waiting 6 s for the next of 2 IDs to be asked again",
        ),
        (
            {"open": 2, "waiting": 2, "next_retry_s": 0.0, "input_ended": True},
            "waiting 1 s for the next of 2 IDs to be asked again",
        ),
        (
            {"open": 1, "waiting": 1, "next_retry_s": 27.0, "input_ended": True},
            "waiting 27 s to ask one ID again",
        ),
        ({"input_ended": True}, "finishing"),
        ({"open": 3, "paused": (12.3, "too fast")}, "paused for 13 s: too fast"),
        ({"open": 3, "paused": (0.04, "too fast")}, "paused for 1 s: too fast"),
        (
            {"open": 3, "paused": (12.3, "too fast"), "outage_s": 99.6},
            "outage for 100 s: probing",
        ),
        (
            {"open": 3, "outage_s": 7.9, "trouble": "Connection refused"},
            "outage for 8 s (Connection refused): probing",
        ),
        (
            {"open": 3, "unanswered_s": 12.4, "trouble": "Connection refused", "outage_s": 8.0}
            | {"api": "https://api.test"},
            "no answer from https://api.test for 12 s (Connection refused)",
        ),
        (
            {"open": 3, "unanswered_s": 1.0},
            "working",
        ),
        (
            {"open": 3, "in_flight": 1, "outage_s": 99.6, "ending": True},
            "stopping: 1 requests under way",
        ),
        (
            {"open": 3, "in_flight": 3, "paused": (12.3, "too fast"), "ending": True},
            "stopping: 3 requests under way",
        ),
        (
            {"no_room": NoRoom("exports/x", 12.3, 600.0), "open": 3, "ending": True},
            "waiting for room in exports/x for 12 s, at most 600 s: the disk is full",
        ),
    ],
)
def test_the_state_says_what_the_run_does_or_waits_for(shown, said):
    assert state(pulse(**shown)) == said


SLOW = {"rate_ceiling": 20.0, "rate_allowed": 2.512}
FEW = {"in_flight_allowed": 3}


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (SLOW, "slowed to 2.5 of 20 requests/s: the API refuses more"),
        (FEW, "slowed to 3 of 10 in flight: the API refuses more"),
        (
            SLOW | FEW,
            "slowed to 2.5 of 20 requests/s and 3 of 10 in flight: the API refuses more",
        ),
        ({"rate_allowed": 4.5, "in_flight_allowed": 9}, "working"),
        (
            {"rate_allowed": 1_234.5, "rate_ceiling": 100_000.0},
            "slowed to 1,234 of 100,000 requests/s: the API refuses more",
        ),
        (SLOW | {"paused": (1.0, "too fast")}, "paused for 1 s: too fast"),
    ],
)
def test_the_state_tells_when_the_api_keeps_the_run_below_its_ceilings(shown, said):
    assert state(pulse(open=3, **shown)) == said


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (0.0, 2, "0"),
        (0.104, 2, "0.1"),
        (0.5, 3, "0.5"),
        (2.512, 2, "2.5"),
        (3.3333333, 3, "3.33"),
        (20.0, 2, "20"),
        (23.46, 3, "23.5"),
        (123.4, 2, "123"),
        (1_000_000.0, 3, "1,000,000"),
    ],
)
def test_a_figure_has_no_long_fraction(value, digits, said):
    assert short(value, digits) == said


def test_the_state_names_the_stage_that_is_stalled():
    stuck = Stall(Section.COMMIT, 181.2, 12)
    said = "stalled for 181 s at commit: the disk does not take the outcomes (12 there)"
    assert state(pulse(open=3), stuck) == said
    assert Observer(START).snapshot(pulse(open=3), START, stuck).state == said


def test_an_input_that_is_silent_is_waited_for_and_not_called_stalled():
    silent = Stall(Section.INPUT, 181.2, 1)
    assert state(pulse(), silent) == "waiting for the first line for 181 s"
    assert state(pulse(Tally(lines=1, ids=1)), silent) == "waiting for input for 181 s"
    assert state(pulse(open=3), silent) == "working"


# --- how far ---


def test_a_run_begins_with_nothing_known():
    snapshot = Observer(START).snapshot(pulse(), START)
    assert (snapshot.done, snapshot.total, snapshot.eta_s) == (0, None, None)
    assert (snapshot.rate_now, snapshot.rate_allowed, snapshot.elapsed_s) == (0.0, 5.0, 0.0)


def test_done_are_ids_with_a_verdict_whichever_run_settled_them():
    tally = Tally(lines=7, ids=5, invalid=2)
    tally.before.update({Verdict.OK: 1, Verdict.INVALID_ID: 1})
    tally.now.update({Verdict.OK: 1, Verdict.NOT_FOUND: 1, Verdict.INVALID_ID: 1})
    snapshot = Observer(START).snapshot(pulse(tally), START + 1)
    assert snapshot.done == 3
    assert snapshot.verdicts == {"ok": 2, "not_found": 1, "invalid_id": 2}


@pytest.mark.parametrize(
    ("expected_lines", "input_ended", "total"),
    [
        (None, False, None),
        (1_000, False, 990),  # 10 of the 60 lines so far were no distinct IDs
        (20, False, 50),  # the input has grown since it was counted
        (1_000, True, 50),
        (None, True, 50),
    ],
)
def test_the_total_is_estimated_until_the_input_has_been_read(expected_lines, input_ended, total):
    tally = Tally(lines=60, ids=50, duplicates=6, blanks=2, comments=1, invalid=1)
    shown = pulse(tally, expected_lines=expected_lines, input_ended=input_ended)
    assert Observer(START).snapshot(shown, START + 1).total == total


def test_the_time_left_follows_from_the_pace_of_verdicts():
    observer = Observer(START)
    tally = settled(20, ids=100, requests=40)  # two requests an ID
    snapshot = observer.snapshot(pulse(tally, input_ended=True), START + 10)
    assert (snapshot.rate_now, snapshot.eta_s) == (4.0, 40.0)


def test_the_time_left_is_never_shorter_than_the_wait_for_the_next_retry():
    waits = {"input_ended": True, "open": 1, "waiting": 1, "next_retry_s": 27.0}
    snapshot = Observer(START).snapshot(pulse(settled(20, ids=21), **waits), START + 10)
    assert snapshot.eta_s == 27.0


def test_lines_that_are_no_ids_don_t_shorten_the_time_left():
    tally = Tally(lines=150, ids=100, invalid=50)
    tally.now.update({Verdict.OK: 20, Verdict.INVALID_ID: 50})
    snapshot = Observer(START).snapshot(pulse(tally, input_ended=True), START + 10)
    assert snapshot.eta_s == 40.0


def test_ids_that_were_settled_before_don_t_count_for_the_pace():
    tally = Tally(lines=100, ids=100, before=Counter({Verdict.OK: 60}))
    tally.now.update({Verdict.OK: 20})
    snapshot = Observer(START).snapshot(pulse(tally, input_ended=True), START + 10)
    assert (snapshot.done, snapshot.eta_s) == (80, 10.0)


def test_the_time_left_is_unknown_while_nothing_moves():
    observer = Observer(START)
    tally = settled(20, ids=100)
    for second in range(0, 100, 5):
        snapshot = observer.snapshot(pulse(tally, input_ended=True), START + second)
    assert (snapshot.rate_now, snapshot.eta_s) == (0.0, None)


def test_the_pace_is_that_of_the_last_seconds():
    observer = Observer(START)
    for second in range(1, 101):
        slow_then_fast = second if second <= 50 else 50 + 10 * (second - 50)
        snapshot = observer.snapshot(pulse(settled(slow_then_fast)), START + second)
        if second in {50, 70}:
            assert snapshot.rate_now == {50: 1.0, 70: 10.0}[second]
    assert snapshot.rate_now == 10.0


def test_the_pace_is_known_where_snapshots_are_rare():
    observer = Observer(START)
    observer.snapshot(pulse(settled(600)), START + 60)
    assert observer.snapshot(pulse(settled(1_800)), START + 120).rate_now == 20.0


def test_the_plain_form_is_rounded_and_names_the_verdicts():
    tally = settled(1, ids=3, requests=1)
    plain = Observer(START).snapshot(pulse(tally, input_ended=True, open=2), START + 3).as_dict()
    assert plain == {
        "state": "working",
        "done": 1,
        "total": 3,
        "ok": 1,
        "rate_now": 0.3,
        "rate_allowed": 5.0,
        "in_flight": 0,
        "eta_s": 6,
        "elapsed_s": 3.0,
    }
    unknown = Observer(START).snapshot(pulse(), START).as_dict()
    assert (unknown["total"], unknown["eta_s"]) == (None, None)
