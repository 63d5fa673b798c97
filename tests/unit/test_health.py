"""Is it the API, or this ID: each row of the table of states and signals, by name."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.defaults import health_settings

from cxai.governor.health import Health, State
from cxai.policy.table import Signal

ANSWERED, FAILED = Signal.ANSWERED, Signal.FAILED
THROTTLED, TOKEN_REFUSED = Signal.THROTTLED, Signal.TOKEN_REFUSED
UP, DOUBT, DOWN = State.UP, State.DOUBT, State.DOWN


class Api:
    """Feeds a Health with one request per second, each answered half a second after it left.

    Requests are named n1, n2, …; `seen` is the state, and whom the last reply charged and forgave.
    """

    def __init__(self, *signals, canary=True):
        self.health = Health(health_settings(failures=3, rounds=2, others=2))
        self.health.has_canary = canary
        self.now, self.count = 0.0, 0
        self.feed(*signals)

    def feed(self, *signals, kind="HTTP 500", probe=False, left_at=None):
        for signal in signals:
            self.now += 1.0
            self.count += 1
            left_s = self.now - 0.5 if left_at is None else left_at
            name = f"n{self.count}"
            self.found = self.health.learn(signal, kind, name, left_s, self.now, is_probe=probe)
        return self

    def probe(self, *signals):
        return self.feed(*signals, probe=True)

    @property
    def charged(self):
        return sorted(held.item for held in self.found.charged)

    @property
    def forgiven(self):
        return sorted(held.item for held in self.found.forgiven)

    @property
    def state(self):
        return self.health.state


def in_doubt():
    """Return an API after three failures in a row: n1, n2, n3."""
    return Api(FAILED, FAILED, FAILED)


def down():
    """Return an API whose canary, n4, has failed."""
    return in_doubt().probe(FAILED)


# --- up ---


def test_up_and_answered_charges_what_left_before():
    api = Api(FAILED).feed(ANSWERED)
    assert (api.state, api.charged) == (UP, ["n1"])


def test_up_and_answered_does_not_charge_what_left_later():
    api = Api(FAILED).feed(ANSWERED, left_at=0.1)
    assert (api.state, api.charged, api.health.held) == (UP, [], 1)


def test_up_and_answered_ends_the_row():
    assert Api(FAILED, FAILED, ANSWERED, FAILED, FAILED).state is UP


def test_up_and_failed_holds_and_a_row_makes_a_doubt():
    assert Api(FAILED, FAILED).state is UP
    assert (in_doubt().state, in_doubt().health.held, in_doubt().charged) == (DOUBT, 3, [])


def test_kinds_of_failure_add_up_to_a_row():
    api = Api(FAILED)
    assert api.feed(FAILED, kind="HTTP 302").state is UP
    assert api.feed(FAILED, kind="timeout").state is DOUBT


def test_up_and_throttled_holds_until_others_are_answered():
    api = Api(THROTTLED)
    assert api.feed(ANSWERED).charged == []
    assert api.feed(ANSWERED).charged == ["n1"]


def test_up_and_throttled_makes_a_doubt_after_rounds_in_a_row():
    assert Api(THROTTLED, THROTTLED).state is DOUBT
    assert Api(THROTTLED, ANSWERED, THROTTLED).state is UP


def test_requests_that_left_together_are_refused_in_one_round():
    assert Api(THROTTLED).feed(THROTTLED, THROTTLED, left_at=0.5).state is UP


def test_without_a_canary_no_limit_makes_a_doubt():
    assert Api(*[THROTTLED] * 9, canary=False).state is UP


def test_up_and_token_refused_is_an_immediate_doubt():
    api = Api(TOKEN_REFUSED)
    assert (api.state, api.health.doubts_token) == (DOUBT, True)


def test_a_token_that_was_refused_before_it_was_renewed_is_forgiven():
    api = Api(TOKEN_REFUSED)
    assert [held.item for held in api.health.renewed(api.now)] == ["n1"]
    assert not api.health.doubts_token
    assert api.feed(TOKEN_REFUSED, left_at=0.5).forgiven == ["n2"]


# --- in doubt ---


def test_doubt_and_the_canary_answered_charges_all():
    api = in_doubt().probe(ANSWERED)
    assert (api.state, api.charged) == (UP, ["n1", "n2", "n3"])


def test_after_a_wrong_doubt_the_next_one_takes_twice_the_failures():
    api = Api()
    for needed in (3, 6, 12, 24, 24):
        api.feed(*[FAILED] * (needed - 1))
        assert api.state is UP
        assert api.feed(FAILED).state is DOUBT
        api.probe(ANSWERED)
    assert api.health.doubts == 5


def test_an_ordinary_answer_resets_the_failures_that_make_a_doubt():
    api = in_doubt().probe(ANSWERED).feed(ANSWERED)
    assert api.feed(FAILED, FAILED, FAILED).state is DOUBT


def test_doubt_and_another_answered_charges_what_left_before():
    api = in_doubt().feed(ANSWERED, left_at=2.2)
    assert (api.state, api.charged) == (DOUBT, ["n1", "n2"])
    api.feed(ANSWERED, left_at=2.8)
    assert (api.state, api.charged) == (UP, ["n3"])


def test_doubt_and_another_failed_holds():
    api = in_doubt().feed(FAILED, left_at=2.8)
    assert (api.state, api.forgiven, api.health.held) == (DOUBT, [], 4)


def test_doubt_and_the_canary_failed_forgives_all():
    assert (down().state, down().forgiven) == (DOWN, ["n1", "n2", "n3", "n4"])


def test_doubt_and_the_canary_throttled_sends_another():
    assert in_doubt().probe(THROTTLED).state is DOUBT


def test_doubt_about_a_limit_and_the_canary_throttled_means_that_it_applies_to_all():
    api = Api(THROTTLED, THROTTLED).probe(THROTTLED)
    assert (api.state, api.charged, api.found.refused_alone) == (UP, [], False)
    assert api.feed(THROTTLED, THROTTLED, THROTTLED).state is UP  # R is 4 now
    assert api.feed(THROTTLED).state is DOUBT


def test_doubt_about_a_limit_and_the_canary_answered_means_single_ids():
    api = Api(THROTTLED, THROTTLED).probe(ANSWERED)
    assert (api.state, api.charged, api.found.refused_alone) == (UP, ["n1", "n2"], True)


def test_doubt_about_the_token_and_the_canary_answered_charges_the_refusal():
    api = Api(TOKEN_REFUSED).probe(ANSWERED)
    assert (api.state, api.charged) == (UP, ["n1"])


def test_doubt_about_the_token_is_confirmed_by_two_canaries_a_second_apart():
    api = Api(TOKEN_REFUSED).probe(TOKEN_REFUSED)
    assert (api.found.token_refused, api.health.wait_s(api.now)) == (False, 1.0)
    assert api.probe(TOKEN_REFUSED).found.token_refused


def test_doubt_about_the_token_and_the_canary_failed_is_an_outage():
    assert Api(TOKEN_REFUSED).probe(FAILED).state is DOWN


def test_what_left_before_the_doubt_is_no_canary():
    api = in_doubt().feed(FAILED, left_at=2.9, probe=True)
    assert api.state is DOUBT


# --- down ---


def test_down_and_answered_since_is_up():
    api = down().probe(ANSWERED)
    assert (api.state, api.charged) == (UP, [])


def test_down_and_an_answer_from_before_changes_nothing():
    assert down().feed(ANSWERED, left_at=1.0).state is DOWN


def test_down_and_failed_forgives():
    api = down().feed(FAILED)
    assert (api.state, api.forgiven) == (DOWN, ["n5"])


def test_down_and_the_probe_failed_doubles_the_wait_up_to_a_minute():
    api, waits = down(), []
    for _ in range(8):
        waits.append(api.health.wait_s(api.now))
        api.probe(FAILED)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_down_and_the_probe_throttled_waits_for_the_same_time_again():
    api = down().probe(FAILED)
    assert api.health.wait_s(api.now) == 2.0
    assert api.probe(THROTTLED).health.wait_s(api.now) == 2.0
    assert api.feed(THROTTLED, left_at=0.5).state is DOWN


def test_down_and_token_refused_is_a_doubt_about_the_token():
    assert down().probe(TOKEN_REFUSED).health.doubts_token


def test_an_outage_that_is_over_at_the_first_probe_was_short():
    assert down().probe(ANSWERED).found.was_short == "HTTP 500"
    assert down().probe(FAILED).probe(ANSWERED).found.was_short == ""


def test_after_an_outage_a_doubt_takes_as_few_failures_as_at_first():
    api = in_doubt().probe(ANSWERED).feed(*[FAILED] * 6).probe(FAILED).probe(ANSWERED)
    assert api.feed(FAILED, FAILED, FAILED).state is DOUBT


# --- idle ---


def test_idle_with_a_failure_held_is_a_doubt():
    api = Api(FAILED)
    api.health.idle(api.now)
    assert api.state is DOUBT
    assert api.probe(ANSWERED).charged == ["n1"]


def test_idle_with_nothing_held_is_no_doubt():
    api = Api(ANSWERED)
    api.health.idle(api.now)
    assert api.state is UP


def test_idle_with_refusals_by_a_limit_is_a_doubt_about_it():
    api = Api(THROTTLED)
    api.health.idle(api.now)
    assert api.probe(ANSWERED).found.refused_alone


def test_a_canary_that_has_its_result_is_never_charged():
    api = in_doubt()
    found = api.health.learn(FAILED, "HTTP 500", None, api.now + 1, api.now + 2, is_probe=True)
    assert (api.state, len(found.forgiven)) == (DOWN, 3)


def test_a_canary_that_comes_back_late_and_refused_is_not_held():
    api = Api(ANSWERED)
    api.health.learn(THROTTLED, "HTTP 429", None, api.now + 1, api.now + 2, is_probe=False)
    assert (api.state, api.health.held) == (UP, 0)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(Signal)), st.booleans(), st.floats(0, 20))))
def test_no_failure_is_charged_twice_or_in_an_outage_or_forgotten_whatever_the_signals(steps):
    api, open_ = Api(), set()
    for signal, probe, late_s in steps:
        before = api.state
        api.feed(signal, probe=probe, left_at=max(0.0, api.now + 0.5 - late_s))
        if signal is not ANSWERED:
            open_.add(f"n{api.count}")
        gone = [*api.charged, *api.forgiven]
        assert len(gone) == len(set(gone))
        assert set(gone) <= open_
        open_ -= set(gone)
        assert not (before is DOWN and api.charged)
        assert api.health.held <= len(open_)
