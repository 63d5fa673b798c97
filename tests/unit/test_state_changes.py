"""Events that follow from the state of a run: each begins once and ends once."""

from dataclasses import replace

import pytest
from support.states import api_state, run_state

from cxai.core.events import EventStream
from cxai.core.run_state import Blocked
from cxai.core.watchdog import Stage, Stall
from cxai.observe.changes import StateChanges


@pytest.fixture
def noted():
    """Return a function that notes states, one after the other, and returns all events so far."""
    events, seen = EventStream(), []
    events.attach(seen.append)
    changes = StateChanges(events.emit)

    def note(*states):
        for state in states:
            changes.note(state)
        return [(event.name, event.level.value, dict(event.values)) for event in seen]

    return note


def test_a_stall_is_an_event_as_it_begins_and_as_it_ends(noted):
    stalls = Stall(Stage.COMMIT, 61.4, 3), Stall(Stage.COMMIT, 62.4, 3), None, None
    begun, over = noted(*(run_state(stall=stall) for stall in stalls))
    symptom = "the disk does not take the outcomes"
    assert begun == (
        "stage_stalled",
        "warning",
        {"stage": "commit", "symptom": symptom, "for_s": 61, "holding": 3},
    )
    assert over == ("stage_moving", "info", {"stage": "commit"})


def test_an_input_that_is_silent_is_no_warning(noted):
    ((name, level, _),) = noted(run_state(stall=Stall(Stage.INPUT, 61.4, 1)))
    assert (name, level) == ("stage_stalled", "info")


def test_a_stall_that_moves_to_another_stage_is_another_event(noted):
    stalls = Stall(Stage.REQUESTS, 61.4, 3), Stall(Stage.COMMIT, 61.4, 3)
    events = noted(*(run_state(stall=stall) for stall in stalls))
    assert [values["stage"] for _, _, values in events] == ["requests", "commit"]


def test_a_place_that_can_not_be_used_is_an_event_as_it_begins_and_as_it_ends(noted):
    down = Blocked("the database", 1.0, None, "connection refused", is_full=False)
    waits = None, down, replace(down, for_s=7.2), None, None
    began, ended = noted(*(run_state(blocked=blocked) for blocked in waits))
    place = "the database"
    assert began == ("storage_blocked", "warning", {"place": place, "reason": "connection refused"})
    assert ended == ("storage_back", "info", {"place": place, "after_s": 7})


@pytest.mark.parametrize(
    ("shown", "is_an_event"),
    [
        ({"unanswered_s": 2.0, "trouble": "Connection refused"}, False),
        ({"unanswered_s": 3.0, "trouble": "Connection refused", "advice": "Check it."}, True),
        ({"unanswered_s": 44.0}, False),
        ({"unanswered_s": 45.0}, True),
        ({"unanswered_s": None, "trouble": "HTTP 503"}, False),
    ],
)
def test_an_api_that_never_answers_is_an_event_with_url_cause_and_what_to_check(
    noted, shown, is_an_event
):
    events = noted(*[run_state(api=shown)] * 3)
    assert len(events) == is_an_event
    for name, level, values in events:
        assert (name, level, values["url"]) == ("api_unanswered", "warning", api_state().url)
        assert values["cause"] == shown.get("trouble", "no reply to any request yet")
        assert values["check"].endswith(".")


def test_each_outage_is_an_event_as_it_begins_and_as_it_ends(noted):
    downs = 0.2, 60.4, None, 0.1
    down = {"trouble": "HTTP 503", "advice": "Check base_url."}
    events = noted(*(run_state(api={"down_for_s": for_s, **down}) for for_s in downs))
    assert [name for name, _, _ in events] == ["outage_began", "outage_ended", "outage_began"]
    assert events[0][1:] == (
        "warning",
        {"url": api_state().url, "cause": "HTTP 503", "check": "Check base_url."},
    )
    assert events[1][1:] == ("info", {"url": api_state().url, "after_s": 60})


def test_an_api_that_never_answered_is_in_no_outage(noted):
    never = {"down_for_s": 50.0, "unanswered_s": 51.0, "trouble": "Connection refused"}
    assert [name for name, _, _ in noted(run_state(api=never))] == ["api_unanswered"]
