"""What makes an outage, who may leave while it lasts, and what ends it."""

from hypothesis import given
from hypothesis import strategies as st

from cxai.governor.breaker import Breaker, BreakerRules

RULES = BreakerRules(threshold=3, probe_base_s=1.0, probe_cap_s=60.0)
NOW = 100.0


def fail(breaker, *keys, at=NOW):
    for key in keys:
        breaker.failed(key, at, at)


def broken():
    breaker = Breaker(RULES)
    fail(breaker, "a", "b", "c")
    return breaker


def probe(breaker, at):
    """Let a probe leave, and fail at once."""
    assert breaker.wait_s(at) == 0
    breaker.leave()
    breaker.failed("p", at, at)


def test_failures_in_a_row_on_distinct_ids_make_an_outage():
    breaker = Breaker(RULES)
    fail(breaker, "a", "b")
    assert (breaker.is_open, breaker.wait_s(NOW)) == (False, 0.0)
    fail(breaker, "c")
    assert (breaker.is_open, breaker.open_since) == (True, NOW)


def test_one_id_that_always_fails_makes_none():
    breaker = Breaker(RULES)
    fail(breaker, *["a"] * 100)
    assert not breaker.is_open


def test_an_answer_in_between_begins_the_row_anew():
    breaker = Breaker(RULES)
    fail(breaker, "a", "b")
    breaker.answered(NOW)
    fail(breaker, "c", "d")
    assert not breaker.is_open


def test_the_first_probe_waits():
    breaker = broken()
    assert breaker.wait_s(NOW) == 1.0
    assert breaker.wait_s(NOW + 0.75) == 0.25
    assert breaker.wait_s(NOW + 5.0) == 0.0


def test_while_a_probe_is_under_way_nobody_else_leaves():
    breaker = broken()
    breaker.leave()
    assert breaker.wait_s(NOW + 1e6) is None


def test_each_failed_probe_doubles_the_wait_up_to_its_cap():
    breaker = broken()
    waits, now = [], NOW + 1.0
    for _ in range(8):
        probe(breaker, now)
        waits.append(breaker.wait_s(now))
        now += waits[-1]
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_requests_from_before_the_outage_are_no_probes():
    breaker = broken()
    breaker.leave()
    breaker.failed("d", NOW - 30.0, NOW + 1.5)
    assert breaker.wait_s(NOW + 2.0) is None  # the probe is still under way
    breaker.failed("p", NOW + 1.0, NOW + 3.0)
    assert breaker.wait_s(NOW + 3.0) == 2.0


def test_any_answer_ends_the_outage():
    breaker = broken()
    probe(breaker, NOW + 1.0)
    breaker.answered(NOW + 3.0)
    assert (breaker.is_open, breaker.wait_s(NOW + 1.0)) == (False, 0.0)
    fail(breaker, "a", "b", "c", at=NOW + 2.0)
    assert breaker.wait_s(NOW + 2.0) == 1.0


def test_an_answer_to_a_request_from_before_the_outage_does_not_end_it():
    breaker = broken()
    breaker.leave()
    breaker.answered(NOW - 0.5)
    assert (breaker.open_since, breaker.wait_s(NOW + 2.0)) == (NOW, None)


@given(st.lists(st.sampled_from(["leave", "fail", "straggle", "answer", "wait"]), max_size=200))
def test_there_is_never_more_than_one_probe_at_a_time(steps):
    breaker, now, probes = broken(), NOW, []
    for step in steps:
        now += 0.5
        match step:
            case "leave" if breaker.is_open and breaker.wait_s(now) == 0:
                breaker.leave()
                probes.append(now)
            case "fail" if probes:
                breaker.failed("p", probes.pop(), now)
            case "straggle" if breaker.is_open:
                breaker.failed("s", breaker.open_since - 1.0, now)
                breaker.answered(breaker.open_since - 1.0)
            case "answer":
                breaker.answered(now)
                probes.clear()
            case "wait":
                now += 30.0
        assert len(probes) <= 1
        assert not breaker.is_open or (breaker.wait_s(now) is None) == bool(probes)
