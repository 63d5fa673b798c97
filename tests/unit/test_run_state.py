"""The state of a run: what it does or waits for, as a kind and in words."""

import pytest
from support.states import run_state

from cxai.core.run_state import Blocked, Kind, Pause
from cxai.core.watchdog import Stage, Stall
from cxai.observe.state_text import plain, sentence
from cxai.policy.verdict import Verdict

STUCK = Stall(Stage.COMMIT, 181.2, 12)
SILENT = Stall(Stage.INPUT, 181.2, 1)
PAUSE = Pause(12.3, "too fast")
FULL = Blocked("exports/x", 12.3, 600.0, "the disk is full", is_full=True)
REFUSED = "Connection refused"


def shows(kind, said, **shown):
    return pytest.param(shown, kind, said, id=said)


@pytest.mark.parametrize(
    ("shown", "kind", "said"),
    [
        shows(Kind.WAITING_FOR_INPUT, "waiting for the first line"),
        shows(Kind.WAITING_FOR_INPUT, "waiting for input", lines=3),
        shows(Kind.WORKING, "working", work={"open": 3, "in_flight": 2}),
        shows(Kind.WORKING, "working", work={"open": 3, "waiting": 2, "next_retry_s": 5.0}),
        shows(Kind.FINISHING, "finishing", work={"input_ended": True}),
        shows(
            Kind.WAITING_TO_RETRY,
            "waiting 6 s to retry the next of 2 IDs",
            work={"open": 2, "waiting": 2, "next_retry_s": 5.4},
        ),
        shows(
            Kind.WAITING_TO_RETRY,
            "waiting 1 s to retry the next of 2 IDs",
            work={"open": 2, "waiting": 2, "next_retry_s": 0.0, "input_ended": True},
        ),
        shows(
            Kind.WAITING_TO_RETRY,
            "waiting 27 s to retry one ID",
            work={"open": 1, "waiting": 1, "next_retry_s": 27.0, "input_ended": True},
        ),
        shows(Kind.PAUSED, "paused for 13 s: too fast", work={"open": 3}, api={"pause": PAUSE}),
        shows(
            Kind.PAUSED,
            "paused for 1 s: too fast",
            work={"open": 3},
            api={"pause": Pause(0.04, "too fast")},
        ),
        shows(
            Kind.OUTAGE,
            "outage for 100 s: probing",
            work={"open": 3},
            api={"pause": PAUSE, "down_for_s": 99.6},
        ),
        shows(
            Kind.OUTAGE,
            "outage for 8 s (Connection refused): probing",
            work={"open": 3},
            api={"down_for_s": 7.9, "trouble": REFUSED},
        ),
        shows(
            Kind.DOUBT,
            "checking whether the API is down (HTTP 503)",
            work={"open": 3},
            api={"in_doubt": True, "trouble": "HTTP 503"},
        ),
        shows(
            Kind.NO_ANSWER,
            "no usable answer from https://api.test for 12 s (Connection refused)",
            work={"open": 3},
            api={"unanswered_s": 12.4, "trouble": REFUSED, "down_for_s": 8.0},
        ),
        shows(Kind.WORKING, "working", work={"open": 3}, api={"unanswered_s": 1.0}),
        shows(
            Kind.STOPPING,
            "stopping: 1 request in flight, up to 8 s",
            work={"open": 3, "in_flight": 1, "is_stopping": True, "grace_s": 7.2},
            api={"down_for_s": 99.6},
        ),
        shows(
            Kind.STOPPING,
            "stopping: 0 requests in flight",
            work={"open": 3, "in_flight": 0, "is_stopping": True, "grace_s": 7.2},
            api={"pause": PAUSE},
        ),
        shows(Kind.FINISHING, "finishing", work={"input_ended": True, "is_stopping": True}),
        shows(
            Kind.DISK_FULL,
            "waiting for space in exports/x (12 s of up to 600 s): the disk is full",
            work={"open": 3, "is_stopping": True},
            blocked=FULL,
            stall=STUCK,
        ),
        shows(
            Kind.UNREACHABLE,
            "waiting for the database (5 s): connection refused",
            work={"open": 3},
            blocked=Blocked("the database", 5.0, None, "connection refused", is_full=False),
        ),
        shows(
            Kind.STALLED,
            "stalled for 181 s at commit: the disk does not take the outcomes (12 waiting)",
            work={"open": 3, "is_stopping": True},
            stall=STUCK,
        ),
    ],
)
def test_the_state_says_what_the_run_does_or_waits_for(shown, kind, said):
    state = run_state(**shown)
    assert (state.kind, sentence(state)) == (kind, said)


@pytest.mark.parametrize(
    ("rate", "ceiling", "kind", "said"),
    [
        (2.512, 20.0, Kind.SLOWED, "slowed to 2.5 of 20 requests/s: the API is rate-limiting"),
        (4.5, 5.0, Kind.WORKING, "working"),
        (
            1_234.5,
            100_000.0,
            Kind.SLOWED,
            "slowed to 1,234 of 100,000 requests/s: the API is rate-limiting",
        ),
    ],
)
def test_the_state_says_when_the_api_keeps_the_run_below_its_pace(rate, ceiling, kind, said):
    state = run_state(work={"open": 3}, api={"rate": rate, "rate_ceiling": ceiling})
    assert (state.kind, sentence(state)) == (kind, said)


def test_a_pause_is_shown_before_a_lowered_pace():
    state = run_state(work={"open": 3}, api={"rate": 2.5, "rate_ceiling": 20.0, "pause": PAUSE})
    assert state.kind is Kind.PAUSED


def test_a_silent_input_is_waited_for_and_not_called_stalled():
    assert sentence(run_state(stall=SILENT)) == "waiting for the first line for 181 s"
    assert sentence(run_state(stall=SILENT, lines=1)) == "waiting for input for 181 s"
    assert sentence(run_state(stall=SILENT, work={"open": 3})) == "working"


def test_only_a_run_at_its_full_pace_or_near_its_end_is_not_held_up():
    assert {kind for kind in Kind if not kind.is_held_up} == {Kind.WORKING, Kind.FINISHING}


@pytest.mark.parametrize(
    ("api", "waits"),
    [({}, False), ({"pause": PAUSE}, True), ({"in_doubt": True}, True), ({"down_for_s": 0}, True)],
)
def test_an_api_that_is_paused_doubted_or_down_holds_requests_back(api, waits):
    assert run_state(api=api).api.holds_requests_back is waits


def test_the_plain_form_is_rounded_and_names_the_verdicts():
    state = run_state(
        elapsed_s=3.04,
        done=3,
        total=5,
        verdicts={Verdict.OK: 2, Verdict.NOT_FOUND: 1},
        requests_per_s=0.3333,
        eta_s=6.4,
        work={"open": 2, "in_flight": 1},
    )
    assert list(plain(state).items()) == [
        ("state", "working"),
        ("kind", "working"),
        ("done", 3),
        ("total", 5),
        ("open", 2),
        ("not_found", 1),
        ("ok", 2),
        ("rate_now", 0.3),
        ("rate_allowed", 5.0),
        ("in_flight", 1),
        ("eta_s", 6),
        ("elapsed_s", 3.0),
    ]
    unknown = plain(run_state())
    assert (unknown["total"], unknown["eta_s"]) == (None, None)
