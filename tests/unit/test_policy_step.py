"""One step in the life of an ID: what follows from each reply, and how long it waits."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.defaults import policy_settings
from support.policy import any_seen, draws

from cxai.policy.reply import (
    Endpoint,
    Failure,
    FailureKind,
    Form,
    Processing,
    Record,
    Refusal,
    Said,
    Status,
)
from cxai.policy.step import ApiConditions, Ask, Job, Keep, Settle, signal_of, step
from cxai.policy.table import Signal, row
from cxai.policy.verdict import OPEN_AGAIN, FailureStage, Verdict

RULES = policy_settings(max_attempts=3)
DRAW = 0.5
NOW_S, UTC_S = 10_000.0, 1_800_000_000.0
RESULT, STATUS = Endpoint
EMPTY, OWN, FOREIGN = Form

NEW = Job()
ASKING_STATUS = Job(STATUS, absent_since_s=NOW_S)
PROCESSED = Job(processed=True, absent_since_s=NOW_S)
LOOKED_AGAIN = replace(PROCESSED, looked_again=True)

NO_CX_AI = Settle(
    Verdict.NOT_FOUND,
    "processed, but there is no CX AI result:"
    " deleted after 45 days, or declared without CX AI (includeAiResults)",
    FailureStage.HEADERS,
)
NO_SUCH = Settle(Verdict.NOT_FOUND, "no such interaction", FailureStage.HEADERS)
UNDER_WAY = Status(Processing.UNDER_WAY, "aState")
AWAITING_FILE = Status(Processing.AWAITING_FILE, "aState")


def failure(trouble, retry_after_s=None):
    return Failure(trouble, FailureStage.BODY, "why", retry_after_s=retry_after_s)


def after(seen, job=NEW, *, rules=RULES, draw=DRAW, refused_rounds=0):
    return step(job, seen, ApiConditions(NOW_S, UTC_S, refused_rounds), rules, draw)


def decided(seen, job=NEW, **how):
    return after(seen, job, **how)[1]


def failed(times, verdict=Verdict.EXHAUSTED):
    return Job(attempts=times, failing_as=verdict)


def waited(seconds, endpoint=STATUS):
    return Job(endpoint, absent_since_s=NOW_S - seconds)


def test_a_record_is_kept():
    record = Record({"records": b"{}\n"})
    assert after(record, LOOKED_AGAIN) == (LOOKED_AGAIN, Keep(record))


# --- what is no answer ---


def test_what_is_sure_to_repeat_is_retried_once_after_a_wait():
    job, decision = after(Refusal(302), draw=0.0)
    assert (job.attempts, decision) == (1, Ask(0.5))
    assert decided(Refusal(302), job) == Settle(
        Verdict.REDIRECTED, "HTTP 302", FailureStage.HEADERS
    )


@pytest.mark.parametrize(
    ("status", "form", "verdict"),
    [
        (302, EMPTY, Verdict.REDIRECTED),
        (400, OWN, Verdict.REJECTED),
        (413, FOREIGN, Verdict.REJECTED),
    ],
)
def test_with_a_retry_after_everything_has_all_attempts(status, form, verdict):
    seen = Refusal(status, form, retry_after_s=7.0)
    assert decided(seen) == decided(seen, failed(1, verdict)) == Ask(7.0)
    assert decided(seen, failed(2, verdict)) == Settle(
        verdict, f"HTTP {status}", FailureStage.HEADERS
    )


@pytest.mark.parametrize("seen", [failure(FailureKind.NOT_JSON), Refusal(302)])
def test_an_id_that_has_failed_in_several_ways_is_exhausted(seen):
    job, decision = after(seen, failed(1))
    assert (job.attempts, job.failing_as) == (2, Verdict.EXHAUSTED)
    assert isinstance(decision, Ask)
    assert decided(seen, failed(2)).verdict is Verdict.EXHAUSTED
    way = row(seen, RESULT).verdict
    assert decided(seen, failed(2, way)).verdict is way
    assert decided(Refusal(500), failed(2, way)).verdict is Verdict.EXHAUSTED


@pytest.mark.parametrize("job", [NEW, ASKING_STATUS, failed(2)])
def test_no_connection_is_retried_for_ever_and_costs_no_attempt(job):
    then, decision = after(failure(FailureKind.NO_CONNECTION), job)
    assert then == job
    assert decision == Ask(0.5 * 2.0**job.attempts)


# --- a foreign 404: a gateway's, or a missing result behind one ---


@pytest.mark.promise(
    "404 or 410 with a foreign page, while other IDs are answered",
    "retried once, then the status is requested: what the API itself says there counts; if it says"
    " `processed` or nothing, `rejected`, and the next run retries it",
    group="HTTP",
)
@pytest.mark.parametrize("status", [404, 410])
def test_a_gateways_404_is_retried_once_and_then_the_status_decides(status):
    page = Refusal(status, FOREIGN)
    job, decision = after(page)
    assert (job.endpoint, decision) == (RESULT, Ask(0.75))
    asking, decision = after(page, job)
    assert (asking.endpoint, decision) == (STATUS, Ask())
    assert asking.absent_since_s == NOW_S
    rejected = Settle(Verdict.REJECTED, f"HTTP {status}", FailureStage.HEADERS)
    assert decided(page, asking) == rejected
    assert decided(Refusal(404), asking).verdict is Verdict.NOT_FOUND
    processed, decision = after(Status(Processing.PROCESSED), asking)
    assert (processed.endpoint, decision) == (RESULT, Ask())
    assert decided(page, processed) == rejected
    assert decided(page, job, rules=replace(RULES, check_status=False)) == rejected


def test_a_gateways_404_for_an_id_under_way_costs_no_more_attempts():
    job = replace(ASKING_STATUS, attempts=2, failing_as=Verdict.REJECTED)
    for _ in range(5):
        job, decision = after(UNDER_WAY, job)
        assert (job.endpoint, decision) == (RESULT, Ask(30.0))
        job, decision = after(Refusal(404, FOREIGN), job)
        assert (job.endpoint, job.attempts, decision) == (STATUS, 2, Ask())


# --- the token ---


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("status", [401, 403])
def test_a_token_refused_twice_for_one_id_is_about_the_id(endpoint, status):
    """The governor lets it count only if the token is good for others meanwhile."""
    seen = Refusal(status, OWN)
    job, decision = after(seen, Job(endpoint))
    assert (job.endpoint, decision) == (endpoint, Ask(0.75))
    why = f"HTTP {status}, though the token is good for others"
    assert decided(seen, job) == Settle(Verdict.REJECTED, why, FailureStage.HEADERS)
    assert signal_of(job, seen) is Signal.TOKEN_REFUSED


# --- a limit ---


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_limit_pauses_all_requests_and_costs_no_attempt(endpoint, status):
    job = Job(endpoint, attempts=2, failing_as=Verdict.EXHAUSTED)
    seen = Refusal(status, retry_after_s=7.0)
    then, decision = after(seen, job)
    assert replace(then, said=Said()) == job
    assert decision == Ask(7.0, pause_s=7.0)
    assert signal_of(job, seen) is Signal.THROTTLED


@pytest.mark.parametrize(
    ("asked_s", "paused_s"),
    [(None, 0.75), (0.0, 0.75), (7.0, 7.0), (301.0, 300.0), (math.inf, 300.0)],
)
def test_the_pause_is_the_retry_after_within_bounds(asked_s, paused_s):
    assert decided(Refusal(429, retry_after_s=asked_s)) == Ask(paused_s, pause_s=paused_s)


@given(refused_rounds=st.integers(0, 10**6), draw=draws)
def test_repeated_refusals_pause_longer_but_never_beyond_the_cap(refused_rounds, draw):
    pause_s = decided(Refusal(429), refused_rounds=refused_rounds, draw=draw).pause_s
    ceiling = min(RULES.backoff_cap_s, RULES.backoff_base_s * 2.0 ** min(refused_rounds, 32))
    assert ceiling / 2 <= pause_s <= ceiling


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_limit_that_refuses_only_one_id_is_a_failure_of_the_id(endpoint, status):
    seen = Refusal(status, retry_after_s=7.0)
    job = Job(endpoint, refusals=3)
    assert signal_of(job, seen) is Signal.FAILED
    job, decision = after(seen, job)
    assert (job.attempts, decision) == (1, Ask(7.0))
    exhausted = Settle(Verdict.EXHAUSTED, f"HTTP {status}", FailureStage.HEADERS)
    assert decided(seen, replace(job, attempts=2)) == exhausted


# --- no result ---


@pytest.mark.parametrize("status", [404, 410])
def test_without_check_status_a_missing_result_is_not_found(status):
    gone = Settle(Verdict.NOT_FOUND, f"HTTP {status}", FailureStage.HEADERS)
    assert decided(Refusal(status), rules=policy_settings(check_status=False)) == gone


@pytest.mark.parametrize("status", [202, 204, 409])
def test_without_check_status_a_result_that_may_come_is_waited_for(status):
    rules = policy_settings(check_status=False)
    assert decided(Refusal(status), rules=rules) == Ask(30.0)
    at_last = decided(Refusal(status), waited(900.0, RESULT), rules=rules)
    assert at_last == Settle(Verdict.NOT_READY, "still being processed", FailureStage.BODY)


@pytest.mark.promise(
    "No result (404, 204 or 409) although the status is `processed`",
    "retried once after five seconds, then `not_found`: deleted, or declared without CX AI",
    group="HTTP",
)
@pytest.mark.parametrize("status", [204, 404, 409])
def test_a_result_that_is_missing_although_processed_is_retried_once(status):
    assert after(Refusal(status), PROCESSED) == (
        replace(LOOKED_AGAIN, said=Said(status)),
        Ask(5.0),
    )
    assert decided(Refusal(status), LOOKED_AGAIN) == NO_CX_AI
    assert decided(Refusal(410), PROCESSED) == NO_CX_AI  # gone for good


@pytest.mark.parametrize(("recheck_s", "delay_s"), [(0.5, 0.5), (5.0, 5.0), (3_600.0, 5.0)])
def test_that_retry_follows_within_seconds(recheck_s, delay_s):
    assert decided(Refusal(404), PROCESSED, rules=policy_settings(recheck_s=recheck_s)) == Ask(
        delay_s
    )


@pytest.mark.promise(
    "`Retry-After` with any other status",
    "delays the next request for that ID, up to `retry_after_cap_s`",
    group="Limit",
)
@pytest.mark.parametrize("job", [NEW, PROCESSED, ASKING_STATUS])
@pytest.mark.parametrize(
    "seen",
    [
        *(Refusal(status, form) for form in Form for status in (202, 204, 302, 400, 401, 404, 500)),
        *(failure(trouble) for trouble in FailureKind),  # a page or a message of maintenance, say
        UNDER_WAY,
        AWAITING_FILE,
    ],
    ids=str,
)
def test_a_retry_after_is_obeyed_with_every_reply(seen, job):
    for asked_s, delay_s in [(77.0, 77.0), (1e9, RULES.retry_after_cap_s)]:
        decision = decided(replace(seen, retry_after_s=asked_s), job)
        if decision != NO_SUCH:
            assert decision.delay_s == delay_s


# --- replies of the status endpoint ---


@pytest.mark.promise(
    "An interaction whose file never arrived (`declared`, `filePendingUpload`, … for 12 hours)",
    "`processing_failed`, with its age and state; later runs do not wait for it",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("hours", "ago"),
    [(13, "13 hours ago"), (47, "47 hours ago"), (48, "2 days ago"), (80, "3 days ago")],
)
def test_a_file_that_never_arrived_is_settled_for_good(hours, ago):
    settled = decided(replace(AWAITING_FILE, declared_s=UTC_S - hours * 3_600.0), ASKING_STATUS)
    reason = f"declared {ago} and its file never arrived (aState)"
    assert settled == Settle(Verdict.PROCESSING_FAILED, reason, FailureStage.BODY)
    assert settled.verdict not in OPEN_AGAIN


@pytest.mark.parametrize(
    ("age_s", "ago"), [(0.0, "just now"), (3_600.0, "an hour ago"), (7_200.0, "2 hours ago")]
)
def test_the_patience_with_a_file_may_be_zero(age_s, ago):
    rules = policy_settings(file_patience_s=0.0)
    settled = decided(replace(AWAITING_FILE, declared_s=UTC_S - age_s), ASKING_STATUS, rules=rules)
    assert settled.reason == f"declared {ago} and its file never arrived (aState)"
    assert decided(AWAITING_FILE, ASKING_STATUS, rules=rules) == Ask(30.0)


@pytest.mark.parametrize(
    "seen",
    [
        replace(AWAITING_FILE, declared_s=UTC_S - RULES.file_patience_s + 1.0),
        replace(AWAITING_FILE, declared_s=UTC_S + 60.0),
        replace(UNDER_WAY, declared_s=0.0),
    ],
)
def test_what_may_still_be_processed_is_waited_for(seen):
    assert decided(seen, ASKING_STATUS) == Ask(30.0)


@given(any_seen)
def test_a_status_that_can_not_be_read_never_settles_an_id_for_good(seen):
    if isinstance(seen, Refusal | Failure) and row(seen, STATUS).counts:
        first = decided(seen, ASKING_STATUS)
        last = decided(seen, replace(ASKING_STATUS, attempts=3, failing_as=Verdict.EXHAUSTED))
        assert isinstance(first, Ask)
        assert last.verdict is Verdict.EXHAUSTED


# --- patience ---


@pytest.mark.parametrize(
    ("waited_s", "decision"),
    [
        (0.0, Ask(30.0)),
        (870.0, Ask(30.0)),
        (870.001, Settle(Verdict.NOT_READY, "still being processed", FailureStage.BODY)),
        (9_999.0, Settle(Verdict.NOT_READY, "still being processed", FailureStage.BODY)),
    ],
)
def test_an_id_under_way_is_rechecked_within_its_patience(waited_s, decision):
    assert decided(UNDER_WAY, waited(waited_s)) == decision


def test_the_reason_names_a_missing_file_when_patience_ends():
    at_last = Settle(Verdict.NOT_READY, "its file has not arrived yet", FailureStage.BODY)
    assert decided(AWAITING_FILE, waited(900.0)) == at_last


@given(recheck_s=st.floats(1, 100), patience_s=st.floats(0, 300), latency_s=st.floats(0.001, 100))
def test_no_recheck_is_planned_beyond_the_patience(recheck_s, patience_s, latency_s):
    rules = policy_settings(recheck_s=recheck_s, patience_s=patience_s)
    waited_s, looks = latency_s, 1
    while isinstance(decision := decided(UNDER_WAY, waited(waited_s), rules=rules), Ask):
        assert waited_s + decision.delay_s <= patience_s + 1e-6
        waited_s += decision.delay_s + 2 * latency_s
        looks += 1
    assert decision.verdict is Verdict.NOT_READY
    assert looks <= 1 + patience_s / recheck_s


# --- what the API said ---


@pytest.mark.parametrize(
    ("before", "seen", "said"),
    [
        (Said(), Refusal(400, OWN, "No."), Said(400, "No.")),
        (Said(500, "Down.", "queued"), Refusal(500), Said(500, "Down.", "queued")),
        (Said(500, "Down."), Refusal(502), Said(502, None)),
        (Said(500, "Down."), failure(FailureKind.TIMEOUT), Said(500, None)),
        (Said(500, "Down."), replace(failure(FailureKind.NOT_JSON), status=200), Said(200, None)),
        (
            Said(404, "No."),
            replace(UNDER_WAY, state="queued", message="Soon."),
            Said(200, "Soon.", "queued"),
        ),
    ],
)
def test_the_last_words_of_the_api_are_kept(before, seen, said):
    assert after(seen, Job(STATUS, said=before))[0].said == said


# --- waiting ---


@pytest.mark.parametrize(
    ("asked_s", "waited_s"),
    [(None, 0.5), (0.25, 0.5), (7.0, 7.0), (301.0, 300.0), (1e300, 300.0), (math.inf, 300.0)],
)
@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_a_retry_after_is_the_least_wait_and_is_capped(status, asked_s, waited_s):
    assert decided(Refusal(status, retry_after_s=asked_s)) == Ask(waited_s)


# --- whatever comes ---

any_job = st.builds(
    Job,
    st.sampled_from(Endpoint),
    attempts=st.integers(0, 6),
    failing_as=st.none() | st.sampled_from(sorted(OPEN_AGAIN)),
    refusals=st.integers(0, 5),
    absent_since_s=st.none() | st.floats(0, NOW_S),
    processed=st.booleans(),
    looked_again=st.booleans(),
)
any_rules = st.builds(policy_settings, max_attempts=st.integers(1, 6), check_status=st.booleans())


@given(any_job, any_seen, any_rules, draws)
def test_each_step_is_bounded_and_the_same_each_time(job, seen, rules, draw):
    job = replace(job, attempts=min(job.attempts, rules.max_attempts))
    then, decision = after(seen, job, rules=rules, draw=draw)
    assert (then, decision) == after(seen, job, rules=rules, draw=draw)
    assert job.attempts <= then.attempts <= min(job.attempts + 1, rules.max_attempts)
    assert then.refusals == job.refusals
    if isinstance(decision, Ask):
        assert 0 <= decision.delay_s <= rules.retry_after_cap_s
        assert decision.pause_s in {None, decision.delay_s}


@given(any_seen, st.sampled_from(Endpoint), st.integers(2, 6), st.booleans(), draws)
def test_what_is_no_answer_is_never_final_immediately_nor_for_good(
    seen, endpoint, max_attempts, check_status, draw
):
    rules = policy_settings(max_attempts=max_attempts, check_status=check_status)
    job, looks = Job(endpoint), 0
    if signal_of(job, seen) in {Signal.FAILED, Signal.TOKEN_REFUSED} and row(seen, endpoint).counts:
        decision = Ask()
        while isinstance(decision, Ask):
            job, decision = after(seen, job, rules=rules, draw=draw)
            looks += 1
        assert 2 <= looks <= max_attempts + 1  # one more for the status
        assert decision.verdict in OPEN_AGAIN
