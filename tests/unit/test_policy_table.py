"""The table, row by row: what each reply and failure means, and what it shows about the API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.policy import any_seen

from cxai.policy.reply import (
    Endpoint,
    Failure,
    FailureKind,
    Form,
    Processing,
    Record,
    Refusal,
    Status,
)
from cxai.policy.table import TABLE, Meaning, Signal, has_body, keys, row
from cxai.policy.verdict import OPEN_AGAIN, FailureStage, Verdict
from cxai.policy.words import advice, kind, reason, words

RESULT, STATUS = Endpoint
EMPTY, OWN, FOREIGN = Form
ANSWERED, THROTTLED, TOKEN_REFUSED, FAILED = Signal
GATEWAY = "Check base_url, and whether a proxy, gateway or firewall answers in place of the API."


def refusal(status, form=EMPTY, retry_after_s=None):
    return Refusal(status, form, None, retry_after_s)


def failure(trouble, retry_after_s=None):
    return Failure(trouble, FailureStage.BODY, "why", retry_after_s=retry_after_s)


def status(processing):
    return Status(processing, "aState")


# Where a failure that is tried again leads: verdict, and attempts if not as many as are allowed.
OPEN = (Verdict.EXHAUSTED, None)
REJECTED = (Verdict.REJECTED, 2)

BOTH = {
    "202": (refusal(202), Meaning.PENDING, ANSWERED),
    "202 with a page": (refusal(202, FOREIGN), Meaning.PENDING, ANSWERED),
    "401": (refusal(401), Meaning.RETRY, TOKEN_REFUSED, *REJECTED),
    "401 in the API's words": (refusal(401, OWN), Meaning.RETRY, TOKEN_REFUSED, *REJECTED),
    "401 of a gateway": (refusal(401, FOREIGN), Meaning.RETRY, TOKEN_REFUSED, *REJECTED),
    "402, the account's": (refusal(402, OWN), Meaning.RETRY, FAILED, *REJECTED),
    "403": (refusal(403), Meaning.RETRY, TOKEN_REFUSED, *REJECTED),
    "403 in the API's words": (refusal(403, OWN), Meaning.RETRY, TOKEN_REFUSED, *REJECTED),
    "403 of a firewall": (refusal(403, FOREIGN), Meaning.RETRY, FAILED, *REJECTED),
    "403 with a time to wait": (refusal(403, FOREIGN, 5.0), Meaning.LIMIT, THROTTLED),
    "407, a proxy's": (refusal(407, OWN), Meaning.RETRY, FAILED, *REJECTED),
    "408": (refusal(408), Meaning.RETRY, FAILED, *OPEN),
    "425": (refusal(425), Meaning.RETRY, FAILED, *OPEN),
    "429": (refusal(429), Meaning.LIMIT, THROTTLED),
    "429 of a gateway": (refusal(429, FOREIGN), Meaning.LIMIT, THROTTLED),
    "503": (refusal(503, OWN), Meaning.RETRY, FAILED, *OPEN),
    "503 with a time to wait": (refusal(503, EMPTY, 0.0), Meaning.LIMIT, THROTTLED),
    "500": (refusal(500), Meaning.RETRY, FAILED, *OPEN),
    "no HTTP": (refusal(999), Meaning.RETRY, FAILED, *OPEN),
    "no HTTP at all": (refusal(-1), Meaning.RETRY, FAILED, *OPEN),
    "a timeout": (failure(FailureKind.TIMEOUT), Meaning.RETRY, FAILED, *OPEN),
    "broken off": (failure(FailureKind.BROKEN_OFF), Meaning.RETRY, FAILED, *OPEN),
    "processed": (status(Processing.PROCESSED), Meaning.PROCESSED, ANSWERED),
    "under way": (status(Processing.UNDER_WAY), Meaning.PENDING, ANSWERED),
    "awaiting its file": (status(Processing.AWAITING_FILE), Meaning.AWAITING_FILE, ANSWERED),
    "failed": (status(Processing.FAILED), Meaning.UNPROCESSABLE, ANSWERED),
}
OF_RESULTS = {
    "203": (refusal(203), Meaning.RETRY, FAILED, *OPEN),
    "204": (refusal(204), Meaning.NOT_YET, ANSWERED),
    "404": (refusal(404), Meaning.MISSING, ANSWERED),
    "404 in the API's words": (refusal(404, OWN), Meaning.MISSING, ANSWERED),
    "404 of a gateway": (refusal(404, FOREIGN), Meaning.RETRY_THEN_STATUS, FAILED, *REJECTED),
    "409": (refusal(409), Meaning.NOT_YET, ANSWERED),
    "409 of a gateway": (refusal(409, FOREIGN), Meaning.RETRY, FAILED, *REJECTED),
    "410": (refusal(410), Meaning.GONE, ANSWERED),
    "410 of a gateway": (refusal(410, FOREIGN), Meaning.RETRY_THEN_STATUS, FAILED, *REJECTED),
    "201": (refusal(201, OWN), Meaning.RETRY, FAILED, Verdict.BAD_BODY, 2),
    "302": (refusal(302), Meaning.RETRY, FAILED, Verdict.REDIRECTED, 2),
    "302 with a time to wait": (
        refusal(302, EMPTY, 5.0), Meaning.RETRY, FAILED, Verdict.REDIRECTED, None,
    ),
    "400 without a word": (refusal(400), Meaning.RETRY, FAILED, *REJECTED),
    "400 of a gateway": (refusal(400, FOREIGN), Meaning.RETRY, FAILED, *REJECTED),
    "400 in the API's words": (refusal(400, OWN), Meaning.FINAL, ANSWERED),
    "422 in the API's words": (refusal(422, OWN), Meaning.FINAL, ANSWERED),
    "400 with a time to wait": (
        refusal(400, OWN, 5.0), Meaning.RETRY, ANSWERED, Verdict.REJECTED, None,
    ),
    "a damaged body": (
        failure(FailureKind.UNDECODABLE), Meaning.RETRY, FAILED, Verdict.CORRUPT_BODY, None,
    ),
    "another coding": (
        failure(FailureKind.UNSUPPORTED_ENCODING), Meaning.RETRY, FAILED,
        Verdict.UNSUPPORTED_ENCODING, 2,
    ),
    "too large": (failure(FailureKind.TOO_LARGE), Meaning.FINAL, ANSWERED),
    "HTML": (failure(FailureKind.NOT_JSON), Meaning.RETRY, FAILED, Verdict.BAD_BODY, None),
    "foreign JSON": (failure(FailureKind.NOT_A_RESULT), Meaning.RETRY, FAILED, Verdict.BAD_BODY, 2),
}  # fmt: skip
OF_STATUSES = {
    "200 of another kind": (refusal(201), Meaning.RETRY, FAILED, *OPEN),
    "302": (refusal(302), Meaning.RETRY, FAILED, *OPEN),
    "204": (refusal(204), Meaning.RETRY, ANSWERED, *OPEN),
    "404": (refusal(404, OWN), Meaning.UNKNOWN, ANSWERED),
    "404 of a gateway": (refusal(404, FOREIGN), Meaning.RETRY, FAILED, *REJECTED),
    "409": (refusal(409), Meaning.RETRY, ANSWERED, *OPEN),
    "409 of a gateway": (refusal(409, FOREIGN), Meaning.RETRY, FAILED, *OPEN),
    "410": (refusal(410), Meaning.UNKNOWN, ANSWERED),
    "410 of a gateway": (refusal(410, FOREIGN), Meaning.RETRY, FAILED, *REJECTED),
    "400 without a word": (refusal(400), Meaning.RETRY, FAILED, *OPEN),
    "400 in the API's words": (refusal(400, OWN), Meaning.RETRY, ANSWERED, *OPEN),
    "a damaged body": (failure(FailureKind.UNDECODABLE), Meaning.RETRY, FAILED, *OPEN),
    "another coding": (failure(FailureKind.UNSUPPORTED_ENCODING), Meaning.RETRY, FAILED, *OPEN),
    "too large": (failure(FailureKind.TOO_LARGE), Meaning.RETRY, ANSWERED, *OPEN),
    "HTML": (failure(FailureKind.NOT_JSON), Meaning.RETRY, FAILED, *OPEN),
    "foreign JSON": (failure(FailureKind.NOT_A_RESULT), Meaning.RETRY, FAILED, *OPEN),
}
NO_CONNECTION = failure(FailureKind.NO_CONNECTION)
ROWS = {
    RESULT: BOTH | OF_RESULTS,
    STATUS: BOTH | OF_STATUSES,
}


@pytest.mark.parametrize(
    ("endpoint", "name"), [(endpoint, name) for endpoint in Endpoint for name in ROWS[endpoint]]
)
def test_the_row_of(endpoint, name):
    seen, meaning, signal, *leads_to = ROWS[endpoint][name]
    found = row(seen, endpoint)
    assert (found.meaning, found.signal) == (meaning, signal)
    assert found.counts is bool(leads_to)
    if leads_to:
        assert [found.verdict, found.most] == leads_to


@pytest.mark.parametrize("endpoint", Endpoint)
def test_no_connection_costs_no_attempt(endpoint):
    found = row(NO_CONNECTION, endpoint)
    assert (found.meaning, found.signal, found.counts) == (Meaning.RETRY, FAILED, False)


@pytest.mark.parametrize("endpoint", Endpoint)
def test_each_row_of_the_table_is_named_above(endpoint):
    named = [NO_CONNECTION, *(seen for seen, *_ in ROWS[endpoint].values())]
    reached = {next(key for key in keys(seen) if key in TABLE[endpoint]) for seen in named}
    assert reached == TABLE[endpoint].keys()


@pytest.mark.parametrize("endpoint", Endpoint)
def test_a_record_is_an_answer(endpoint):
    found = row(Record({}), endpoint)
    assert (found.meaning, found.signal, found.verdict) == (Meaning.RECORD, ANSWERED, Verdict.OK)


def test_there_is_a_row_for_every_kind_of_failure_and_every_state():
    for table in TABLE.values():
        assert {*FailureKind, *Processing} <= table.keys()


@given(any_seen, st.sampled_from(Endpoint))
def test_what_is_no_answer_leads_only_to_verdicts_that_are_retried(seen, endpoint):
    found = row(seen, endpoint)
    if found.signal in {FAILED, TOKEN_REFUSED}:
        assert found.meaning in {Meaning.RETRY, Meaning.RETRY_THEN_STATUS}
        assert found.verdict in OPEN_AGAIN


@given(st.integers(-1, 10_000).filter(lambda status: status not in {403, 503}))
def test_with_a_retry_after_nothing_is_final_and_no_signal_changes(status):
    for form in Form:
        for endpoint in Endpoint:
            found, timed = (row(refusal(status, form, s), endpoint) for s in (None, 5.0))
            assert timed.signal is found.signal
            assert timed.meaning is not Meaning.FINAL
            assert timed.most is None


def test_only_a_200_has_the_requested_body():
    assert [status for status in range(-1, 10_000) if has_body(status)] == [200]


# --- in words ---


@pytest.mark.parametrize(
    ("seen", "is_called", "in_words", "to_check"),
    [
        (Record({}), "record", "record", ""),
        (status(Processing.UNDER_WAY), "under_way", "under_way", ""),
        (refusal(503, OWN), "HTTP 503", "HTTP 503", ""),
        (Refusal(503, OWN, "Down. " * 30), "HTTP 503", f"HTTP 503: {'Down. ' * 13}Do", ""),
        (Refusal(400, OWN, "No X1 or x1."), "HTTP 400", "HTTP 400: No [id] or [id].", None),
        (refusal(401, OWN), "HTTP 401", "HTTP 401", "Check the token."),
        (refusal(403, FOREIGN), "HTTP 403", "HTTP 403", GATEWAY),
        (refusal(404, FOREIGN), "HTTP 404", "HTTP 404", GATEWAY),
        (refusal(429, FOREIGN), "HTTP 429", "HTTP 429", ""),
        (failure(FailureKind.NOT_JSON), "not_json", "why", GATEWAY),
        (failure(FailureKind.BROKEN_OFF), "broken_off", "connection broken off: why", ""),
        (
            Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, "Refused", "Check the port."),
            "no_connection", "Refused", "Check the port.",
        ),
    ],
)  # fmt: skip
def test_every_reply_has_a_name_a_description_and_advice(seen, is_called, in_words, to_check):
    assert kind(seen) == is_called
    assert words(seen, "X1") == in_words
    assert to_check in {None, advice(seen)}


def test_a_redirect_has_advice():
    assert "base_url" in advice(refusal(302))


def test_a_reason_quotes_nothing_of_the_api():
    assert reason(Refusal(400, OWN, "No such call.")) == "HTTP 400"
    assert reason(failure(FailureKind.TIMEOUT)) == "why"


@given(any_seen)
def test_any_reply_has_a_name_and_a_description(seen):
    assert kind(seen)
    assert words(seen)
    assert isinstance(advice(seen), str)
