"""A short run of what `make fuzz` does for as long as one likes: the same inputs each time."""

import pytest
from fuzz.inputs import Input, heavy, make_input
from fuzz.session import Session, complaint, first_finding, smallest
from fuzz.target import check_retry_after, hold

SEEDS = range(1000)
EVERY_OUTCOME = {
    "(cut, and refused)",
    "(encoded, and the same again)",
    "accepted",
    "accepted, regular",
    "accepted, with drift",
    "not_a_result: can't be written as JSON: nested too deeply",
    "not_a_result: has none of the known participants",
    "not_a_result: is an empty object: no participant",
    "not_a_result: is not an array",
    "not_a_result: is not a number",
    "not_a_result: is not an object",
    "not_a_result: is not a text",
    "not_json: HTML or XML",
    "not_json: empty body",
    "not_json: not JSON",
    "not_json: not JSON: NaN or Infinity",
    "not_json: not JSON: a number beyond the range of a double",
    "not_json: not JSON: half of a surrogate pair in a text",
    "not_json: not JSON: it ends too early",
    "not_json: not JSON: nested too deeply",
    "refusal empty",
    "refusal foreign",
    "refusal own",
    "status awaiting_file",
    "status failed",
    "status processed",
    "status under_way",
    "too_large: decodes to more than N times its size (max_ratio)",
    "too_large: more than N gzip members",
    "undecodable: damaged: its content coding can't be decoded",
    "undecodable: truncated: its content coding has no end",
    "undecodable: has data after the end of its content coding",
    "unsupported_encoding: content coding with an unregistered name",
    "unsupported_encoding: more than N content codings",
}


def test_every_promise_holds_for_inputs_of_every_outcome():
    session = Session()
    finding = first_finding(session, SEEDS)
    assert finding is None, f"seed {finding[0]}: {finding[1]!r}"
    assert session.inputs == len(SEEDS)
    assert set(session.outcomes) >= EVERY_OUTCOME


def test_every_promise_holds_for_bodies_that_become_large():
    session = Session()
    for body, content_encoding in heavy():
        session.play(Input(body, content_encoding))
    assert {
        "accepted, regular",
        "accepted, with drift",
        "not_a_result: allParticipants.enlightenBundles[].name is too long",
        "not_a_result: lacks more than N fields",
        "too_large: decodes to more than N bytes (max_decoded_bytes)",
    } <= set(session.outcomes)


def test_an_input_is_a_function_of_its_seed():
    assert make_input(7) == make_input(7) != make_input(8)


def test_a_broken_promise_is_found_and_made_small(monkeypatch):
    def promise_nothing_with_an_x(body, _):
        hold(b"x" not in body, "no x")

    monkeypatch.setattr("fuzz.session.check", promise_nothing_with_an_x)
    assert complaint(b"x", "") == "no x"
    assert smallest(b"abc" * 50 + b"x" + b"def" * 50, "", "no x") == b"x"


def test_an_error_of_the_worker_is_a_finding(monkeypatch):
    def fail(_body, _content_encoding):
        raise IndexError

    monkeypatch.setattr("fuzz.session.check", fail)
    seed, error = first_finding(Session(), [3, 4])
    assert seed == 3
    assert type(error) is IndexError


@pytest.mark.parametrize("value", ["00000000000000000007", "9" * 400, "Sun, 22 Nov 2026 16:00 GMT"])
def test_a_pause_is_what_was_asked_for(value):
    check_retry_after(value)
