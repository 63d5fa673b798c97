"""THE table, row by row: what each reply and each failure means, to both questions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.policy.policy import (
    BY_TROUBLE,
    Absent,
    Again,
    AskResult,
    AskStatus,
    Effect,
    Final,
    Halt,
    Pending,
    Read,
    Result,
    Rules,
    Settle,
    Standing,
    Throttled,
    TokenRefused,
    Transient,
    backoff_s,
    effect,
    is_readable,
    judge,
    judge_status,
    meaning,
)
from cxai.policy.reply import Failure, Processing, Reply, Status, Trouble
from cxai.policy.verdict import OPEN_AGAIN, Stage, Verdict

RULES = Rules(
    max_attempts=3,
    backoff_base_s=1.0,
    backoff_cap_s=60.0,
    retry_after_cap_s=300.0,
    recheck_s=30.0,
    patience_s=900.0,
    file_patience_s=43_200.0,
)
FIRST = Standing(attempts=1)
LAST = Standing(attempts=3)
DRAW = 0.5

NO_CX_AI = (
    "processed, but there is no CX AI result:"
    " deleted after 45 days, or declared without CX AI (includeAiResults)"
)

OF_ITS_OWN = {
    200: Result(),
    202: Pending(),
    203: Transient(),
    204: Absent(perhaps_later=True),
    401: TokenRefused(),
    403: TokenRefused(),
    404: Absent(),
    408: Transient(),
    409: Absent(perhaps_later=True),
    410: Absent(for_good=True),
    425: Transient(),
    429: Throttled(),
}
OF_ITS_HUNDRED = {
    1: Transient(),
    2: Final(Verdict.BAD_BODY),
    3: Final(Verdict.REDIRECTED),
    4: Final(Verdict.REJECTED),
    5: Transient(),
}
EVERY_STATUS = range(100, 600)
BY_HUNDRED = [range(first, first + 100) for first in range(100, 600, 100)]
NO_HTTP = [0, 1, 99, 600, 999, 10_000, -1]


def expected(status):
    return OF_ITS_OWN.get(status) or OF_ITS_HUNDRED[status // 100]


def trouble(kind):
    return Failure(kind, Stage.BODY, "why")


# --- meanings ---


@pytest.mark.parametrize("statuses", BY_HUNDRED, ids=str)
def test_every_status_has_one_meaning(statuses):
    for status in statuses:
        assert meaning(Reply(status)) == expected(status), status


@pytest.mark.parametrize("status", NO_HTTP)
def test_a_status_that_is_no_http_is_asked_again(status):
    assert meaning(Reply(status)) == Transient()


@pytest.mark.parametrize(
    ("kind", "means"),
    [
        (Trouble.NO_CONNECTION, Transient(burns=False)),
        (Trouble.TIMEOUT, Transient()),
        (Trouble.BROKEN_OFF, Transient()),
        (Trouble.UNDECODABLE, Transient(then=Verdict.CORRUPT_BODY)),
        (Trouble.UNSUPPORTED_ENCODING, Final(Verdict.UNSUPPORTED_ENCODING)),
        (Trouble.TOO_LARGE, Final(Verdict.TOO_LARGE)),
        (Trouble.NOT_JSON, Transient(then=Verdict.BAD_BODY)),
        (Trouble.NOT_A_RESULT, Final(Verdict.BAD_BODY)),
    ],
)
def test_every_trouble_has_one_meaning(kind, means):
    assert meaning(trouble(kind)) == means


def test_no_trouble_is_without_a_row():
    assert set(BY_TROUBLE) == set(Trouble)


@pytest.mark.parametrize(("status", "without"), [(403, TokenRefused()), (503, Transient())])
def test_busy_and_forbidden_are_a_limit_if_there_is_a_time_to_wait(status, without):
    assert meaning(Reply(status, retry_after_s=0.0)) == Throttled()
    assert meaning(Reply(status, retry_after_s=5.0)) == Throttled()
    assert meaning(Reply(status)) == without


def test_a_time_to_wait_makes_a_final_answer_a_passing_one_and_changes_no_other_meaning():
    for status in set(EVERY_STATUS) - {403, 503}:
        means = expected(status)
        if isinstance(means, Final):
            means = Transient(then=means.verdict)
        assert meaning(Reply(status, retry_after_s=5.0)) == means


# --- what follows, to a question for the result ---


def decided_at_first(status):  # noqa: PLR0911 - a return a meaning
    match expected(status):
        case Result():
            return Read(Reply(status))
        case Absent():
            return AskStatus()
        case Pending():
            return AskResult(RULES.recheck_s)
        case TokenRefused():
            return Halt(f"HTTP {status}")
        case Throttled():
            return Again(0.75, burns=False, pause_s=0.75)
        case Transient():
            return Again(0.5)
        case Final(verdict):
            return Settle(verdict, f"HTTP {status}", Stage.HEADERS)


@pytest.mark.parametrize("statuses", BY_HUNDRED, ids=str)
def test_each_reply_to_the_first_question_for_a_result(statuses):
    for status in statuses:
        assert judge(Reply(status), FIRST, RULES, DRAW) == decided_at_first(status), status


def test_the_last_attempt_settles_what_would_be_asked_again():
    for status in [*EVERY_STATUS, *NO_HTTP]:
        decision = judge(Reply(status), LAST, RULES, DRAW)
        if meaning(Reply(status)) == Transient():
            assert decision == Settle(Verdict.EXHAUSTED, f"HTTP {status}", Stage.HEADERS)
        else:
            assert decision == decided_at_first(status)


@pytest.mark.parametrize("kind", Trouble)
def test_each_trouble_with_a_result(kind):
    seen = trouble(kind)
    first, last = (judge(seen, standing, RULES, DRAW) for standing in (FIRST, LAST))
    match meaning(seen):
        case Transient(burns=False):
            assert first == Again(0.5, burns=False)
            assert last == Again(2.0, burns=False)
        case Transient(then):
            assert first == Again(0.5, heading=then)
            assert last == Settle(then, "why", Stage.BODY)
        case Final(verdict):
            assert first == last == Settle(verdict, "why", Stage.BODY)


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_result_is_not_found_where_the_status_is_not_asked(status):
    rules = Rules(check_status=False)
    gone = Settle(Verdict.NOT_FOUND, f"HTTP {status}", Stage.HEADERS)
    assert judge(Reply(status), FIRST, rules, DRAW) == gone


@pytest.mark.parametrize("status", [202, 204, 409])
def test_a_result_that_may_still_come_is_waited_for_where_the_status_is_not_asked(status):
    rules = Rules(check_status=False, recheck_s=30.0, patience_s=900.0)
    assert judge(Reply(status), FIRST, rules, DRAW) == AskResult(30.0)
    waited = Standing(attempts=1, waited_s=900.0)
    assert judge(Reply(status), waited, rules, DRAW).verdict in OPEN_AGAIN


@pytest.mark.promise(
    "No result (404, 204 or 409) although the status is `processed`",
    "a second look after five seconds, then `not_found`: deleted, or declared without CX AI",
    group="HTTP",
)
@pytest.mark.parametrize("status", [204, 404, 409])
def test_a_result_that_is_missing_although_processed_gets_a_second_look_and_no_third(status):
    processed = Standing(attempts=1, processed=True)
    assert judge(Reply(status), processed, RULES, DRAW) == AskResult(5.0, second_look=True)
    second = Standing(attempts=1, processed=True, looked_again=True)
    missing = Settle(Verdict.NOT_FOUND, NO_CX_AI, Stage.HEADERS)
    assert judge(Reply(status), second, RULES, DRAW) == missing


@pytest.mark.parametrize(("recheck_s", "delay_s"), [(0.5, 0.5), (5.0, 5.0), (3_600.0, 5.0)])
def test_a_second_look_comes_within_seconds(recheck_s, delay_s):
    rules = Rules(recheck_s=recheck_s)
    decision = judge(Reply(404), Standing(attempts=1, processed=True), rules, DRAW)
    assert decision == AskResult(delay_s, second_look=True)


def test_a_result_that_is_gone_for_good_gets_no_second_look():
    decision = judge(Reply(410), Standing(attempts=1, processed=True), RULES, DRAW)
    assert decision == Settle(Verdict.NOT_FOUND, NO_CX_AI, Stage.HEADERS)


@pytest.mark.promise(
    "`Retry-After` with any status", "obeyed, up to `retry_after_cap_s`", group="Limit"
)
@pytest.mark.parametrize(
    ("status", "standing", "delay_of"),
    [
        (202, FIRST, AskResult),
        (204, FIRST, AskStatus),
        (404, FIRST, AskStatus),
        (409, FIRST, AskStatus),
        (410, FIRST, AskStatus),
        (404, Standing(attempts=1, processed=True), AskResult),
        (302, FIRST, Again),
        (400, FIRST, Again),
        (413, FIRST, Again),
        (423, FIRST, Again),
        (500, FIRST, Again),
    ],
)
def test_a_time_to_wait_is_obeyed_with_any_status(status, standing, delay_of):
    decision = judge(Reply(status, retry_after_s=77.0), standing, RULES, DRAW)
    assert isinstance(decision, delay_of)
    assert decision.delay_s == 77.0
    clamped = judge(Reply(status, retry_after_s=1e9), standing, RULES, DRAW)
    assert clamped.delay_s == RULES.retry_after_cap_s


UNUSABLE = [Trouble.UNDECODABLE, Trouble.NOT_JSON, Trouble.NOT_A_RESULT, Trouble.TOO_LARGE]


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.parametrize("question", [judge, judge_status])
def test_a_time_to_wait_is_obeyed_with_a_200_of_no_use_too(kind, question):
    """A page or a message of maintenance, say."""
    seen = Failure(kind, Stage.VALIDATE, "no use", retry_after_s=77.0)
    decision = question(seen, FIRST, RULES, DRAW)
    assert isinstance(decision, Again)
    assert decision.delay_s == 77.0


def test_a_200_that_stays_of_no_use_after_each_time_to_wait_is_a_bad_body():
    seen = Failure(Trouble.NOT_A_RESULT, Stage.VALIDATE, "no use", retry_after_s=7.0)
    assert judge(seen, LAST, RULES, DRAW) == Settle(Verdict.BAD_BODY, "no use", Stage.VALIDATE)


@pytest.mark.parametrize("processing", [Processing.UNDER_WAY, Processing.AWAITING_FILE])
def test_a_time_to_wait_is_obeyed_with_a_status_that_is_under_way(processing):
    decision = judge_status(Status(processing, retry_after_s=77.0), FIRST, RULES, DRAW)
    assert decision == AskResult(77.0)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(302, Verdict.REDIRECTED), (400, Verdict.REJECTED), (413, Verdict.REJECTED)],
)
def test_what_stays_so_after_each_time_to_wait_gets_its_own_verdict(status, verdict):
    last = judge(Reply(status, retry_after_s=7.0), LAST, RULES, DRAW)
    assert last == Settle(verdict, f"HTTP {status}", Stage.HEADERS)


@pytest.mark.parametrize("question", [judge, judge_status])
def test_an_outage_costs_no_id_an_attempt(question):
    standing = Standing(attempts=3, outage=True)
    for seen in [Reply(500), Reply(503), trouble(Trouble.TIMEOUT), trouble(Trouble.NOT_JSON)]:
        again = question(seen, standing, RULES, DRAW)
        assert (again.delay_s, again.burns) == (2.0, False)


@pytest.mark.parametrize("kind", [Trouble.NOT_JSON, Trouble.UNDECODABLE])
def test_who_has_failed_in_other_ways_too_is_exhausted_and_so_left_open(kind):
    then = BY_TROUBLE[kind].then
    for heading, verdict in [(then, then), (Verdict.EXHAUSTED, Verdict.EXHAUSTED)]:
        last = Standing(attempts=RULES.max_attempts, heading=heading)
        assert judge(trouble(kind), last, RULES, DRAW).verdict is verdict
        assert judge(trouble(kind), Standing(2, heading=heading), RULES, DRAW).heading is verdict
    last = Standing(attempts=RULES.max_attempts, heading=then)
    assert judge(Reply(500), last, RULES, DRAW).verdict is Verdict.EXHAUSTED


@pytest.mark.parametrize("question", [judge, judge_status])
@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_limit_that_only_one_id_meets_is_its_own_trouble(question, status):
    seen = Reply(status, retry_after_s=7.0)
    first, last = Standing(attempts=1, singled_out=True), Standing(attempts=3, singled_out=True)
    assert question(seen, first, RULES, DRAW) == Again(7.0)
    exhausted = Settle(Verdict.EXHAUSTED, f"HTTP {status}", Stage.HEADERS)
    assert question(seen, last, RULES, DRAW) == exhausted


def test_only_a_body_that_answers_the_question_is_read():
    readable = [status for status in [*EVERY_STATUS, *NO_HTTP] if is_readable(Reply(status))]
    assert readable == [200]
    assert not any(is_readable(trouble(kind)) for kind in Trouble)


# --- what is learned of the API ---


@pytest.mark.parametrize("statuses", [*BY_HUNDRED, NO_HTTP], ids=str)
def test_each_reply_tells_something_of_the_api(statuses):
    for status in statuses:
        expected_effect = Effect.ANSWERED
        match meaning(Reply(status)):
            case Throttled():
                expected_effect = Effect.REFUSED
            case Transient():
                expected_effect = Effect.OVERLOADED if status == 503 else Effect.FAILED
        assert effect(Reply(status)) is expected_effect, status


def test_busy_with_a_time_to_wait_is_a_refusal():
    assert effect(Reply(503, retry_after_s=1.0)) is Effect.REFUSED


@pytest.mark.parametrize("kind", Trouble)
def test_who_sends_a_body_is_there_however_bad_it_is(kind):
    network = {Trouble.NO_CONNECTION, Trouble.TIMEOUT, Trouble.BROKEN_OFF}
    assert effect(trouble(kind)) is (Effect.FAILED if kind in network else Effect.ANSWERED)


# --- what follows, to a question for the status ---


def status(processing, state="aState"):
    return Status(processing, state)


UNDER_WAY = status(Processing.UNDER_WAY)
AWAITING_FILE = status(Processing.AWAITING_FILE)


@pytest.mark.parametrize(
    ("says", "decision"),
    [
        (
            Processing.FAILED,
            Settle(Verdict.PROCESSING_FAILED, "the API failed to process it (aState)", Stage.BODY),
        ),
        (Processing.PROCESSED, AskResult()),
        (Processing.UNDER_WAY, AskResult(30.0)),
        (Processing.AWAITING_FILE, AskResult(30.0)),
    ],
)
@pytest.mark.parametrize("age_s", [None, -60.0, 0.0, 3_600.0])
def test_each_answer_to_a_question_for_the_status(says, decision, age_s):
    standing = Standing(attempts=1, age_s=age_s)
    assert judge_status(status(says), standing, RULES, DRAW) == decision


@pytest.mark.promise(
    "An interaction whose file never arrived (`declared`, `filePendingUpload`, … for 12 hours)",
    "`processing_failed`, with its age and state; not waited for every night",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("hours", "ago"),
    [(13, "13 hours ago"), (47, "47 hours ago"), (48, "2 days ago"), (80, "3 days ago")],
)
def test_a_file_that_never_arrived_is_settled_and_not_waited_for_each_night(hours, ago):
    standing = Standing(attempts=1, age_s=hours * 3_600.0)
    settled = judge_status(AWAITING_FILE, standing, RULES, DRAW)
    reason = f"declared {ago} and its file never arrived (aState)"
    assert settled == Settle(Verdict.PROCESSING_FAILED, reason, Stage.BODY)
    assert settled.verdict not in OPEN_AGAIN


@pytest.mark.parametrize(
    ("age_s", "ago"), [(0.0, "just now"), (3_600.0, "an hour ago"), (7_200.0, "2 hours ago")]
)
def test_the_patience_with_a_file_can_be_set_down_to_none(age_s, ago):
    rules = Rules(file_patience_s=0.0)
    settled = judge_status(AWAITING_FILE, Standing(attempts=1, age_s=age_s), rules, DRAW)
    assert settled.reason == f"declared {ago} and its file never arrived (aState)"
    unknown = judge_status(AWAITING_FILE, Standing(attempts=1), rules, DRAW)
    assert unknown == AskResult(30.0)


@pytest.mark.parametrize(
    ("says", "age_s"), [(AWAITING_FILE, RULES.file_patience_s - 1.0), (UNDER_WAY, 1e9)]
)
def test_what_may_still_be_processed_is_waited_for(says, age_s):
    standing = Standing(attempts=1, age_s=age_s)
    assert judge_status(says, standing, RULES, DRAW) == AskResult(30.0)


@pytest.mark.parametrize("statuses", BY_HUNDRED, ids=str)
def test_each_reply_to_a_question_for_the_status(statuses):
    for status in statuses:
        check_reply_to_a_question_for_the_status(status)


def check_reply_to_a_question_for_the_status(status):
    first, last = (judge_status(Reply(status), s, RULES, DRAW) for s in (FIRST, LAST))
    match expected(status):
        case Pending():
            assert first == last == AskResult(RULES.recheck_s)
        case Absent(perhaps_later=False):
            unknown = Settle(Verdict.NOT_FOUND, "no such interaction", Stage.HEADERS)
            assert first == last == unknown
        case TokenRefused():
            assert first == last == Halt(f"HTTP {status}")
        case Throttled():
            assert first == last == Again(0.75, burns=False, pause_s=0.75)
        case _:  # the status can't be had, so nothing is known of the ID, and it stays open
            assert first == Again(0.5)
            assert last == Settle(Verdict.EXHAUSTED, f"HTTP {status}", Stage.HEADERS)
            assert last.verdict in OPEN_AGAIN


@pytest.mark.parametrize("kind", Trouble)
def test_a_status_that_can_not_be_read_never_settles_an_id_for_good(kind):
    assert judge_status(trouble(kind), FIRST, RULES, DRAW) == Again(0.5)
    last = judge_status(trouble(kind), LAST, RULES, DRAW)
    assert last.verdict in OPEN_AGAIN
    assert (last.reason, last.stage) == ("why", Stage.BODY)


# --- patience ---


@pytest.mark.parametrize(
    ("waited_s", "decision"),
    [
        (0.0, AskResult(30.0)),
        (870.0, AskResult(30.0)),
        (870.001, Settle(Verdict.NOT_READY, "still being processed", Stage.BODY)),
        (1e9, Settle(Verdict.NOT_READY, "still being processed", Stage.BODY)),
    ],
)
def test_an_id_under_way_is_looked_at_again_while_the_look_falls_within_patience(
    waited_s, decision
):
    standing = Standing(attempts=1, waited_s=waited_s)
    assert judge_status(UNDER_WAY, standing, RULES, DRAW) == decision


def test_an_id_without_its_file_says_so_when_patience_ends():
    decision = judge_status(AWAITING_FILE, Standing(attempts=1, waited_s=900.0), RULES, DRAW)
    assert decision == Settle(Verdict.NOT_READY, "its file has not arrived yet", Stage.BODY)


def test_no_patience_is_one_look():
    impatient = Rules(patience_s=0.0)
    decision = judge_status(UNDER_WAY, FIRST, impatient, DRAW)
    assert decision.verdict is Verdict.NOT_READY


@given(
    recheck_s=st.floats(1, 100),
    patience_s=st.floats(0, 300),
    latency_s=st.floats(0.001, 100),
)
def test_patience_is_never_overdrawn_by_a_planned_look(recheck_s, patience_s, latency_s):
    rules = Rules(recheck_s=recheck_s, patience_s=patience_s)
    waited_s, looks = latency_s, 1
    while isinstance(
        decision := judge_status(UNDER_WAY, Standing(1, 0, waited_s), rules, DRAW),
        AskResult,
    ):
        assert waited_s + decision.delay_s <= patience_s
        waited_s += decision.delay_s + 2 * latency_s
        looks += 1
    assert decision.verdict is Verdict.NOT_READY
    assert looks <= 1 + patience_s / recheck_s


# --- waiting ---

failures_in_a_row = st.integers(1, 50) | st.integers(1, 10**400)
draws = st.floats(0, 1, exclude_max=True)
bases = st.floats(0.001, 3_600)
caps = st.floats(0.001, 86_400)


@given(failures_in_a_row, bases, caps, draws)
def test_backoff_is_within_its_cap_and_its_doubling(failures, base_s, cap_s, draw):
    wait_s = backoff_s(failures, base_s, cap_s, draw)
    assert 0 <= wait_s <= cap_s
    if failures <= 1_000:
        assert wait_s <= base_s * 2.0 ** (failures - 1)


@given(failures_in_a_row, bases, caps, draws, draws)
def test_backoff_grows_with_the_draw(failures, base_s, cap_s, one, other):
    low, high = sorted([one, other])
    waits = [backoff_s(failures, base_s, cap_s, draw) for draw in (low, high)]
    assert waits == sorted(waits)


@given(st.integers(1, 100), bases, caps, draws)
def test_backoff_grows_with_the_failures(failures, base_s, cap_s, draw):
    once, once_more = (backoff_s(n, base_s, cap_s, draw) for n in (failures, failures + 1))
    assert once <= once_more


def test_backoff_spreads_over_all_of_its_range():
    waits = [backoff_s(4, 1.0, 60.0, draw) for draw in (0.0, 0.25, 0.5, 0.75)]
    assert waits == [0.0, 2.0, 4.0, 6.0]


@pytest.mark.parametrize(
    ("asked_s", "waited_s"),
    [
        (None, 0.5),
        (0.0, 0.5),
        (0.25, 0.5),
        (7.0, 7.0),
        (300.0, 300.0),
        (301.0, 300.0),
        (1e300, 300.0),
        (math.inf, 300.0),
    ],
)
@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_what_the_api_asks_for_is_a_floor_and_is_clamped(status, asked_s, waited_s):
    decision = judge(Reply(status, retry_after_s=asked_s), FIRST, RULES, DRAW)
    assert decision == Again(waited_s)


@pytest.mark.parametrize(
    ("asked_s", "paused_s"),
    [(None, 0.75), (0.0, 0.75), (7.0, 7.0), (301.0, 300.0), (math.inf, 300.0)],
)
@pytest.mark.parametrize("question", [judge, judge_status])
def test_a_limit_pauses_everyone_and_costs_no_attempt(question, asked_s, paused_s):
    seen = Reply(429, retry_after_s=asked_s)
    assert question(seen, FIRST, RULES, DRAW) == Again(paused_s, burns=False, pause_s=paused_s)


@pytest.mark.parametrize("question", [judge, judge_status])
def test_busy_pauses_everyone_only_if_the_api_says_for_how_long(question):
    told = question(Reply(503, retry_after_s=7.0), LAST, RULES, DRAW)
    untold = question(Reply(503), LAST, RULES, DRAW)
    assert told == Again(7.0, burns=False, pause_s=7.0)
    assert untold == Settle(Verdict.EXHAUSTED, "HTTP 503", Stage.HEADERS)


@given(throttled=st.integers(0, 10**6), draw=draws)
def test_repeated_limits_pause_longer_but_never_beyond_the_cap(throttled, draw):
    standing = Standing(attempts=1, throttled=throttled)
    pause_s = judge(Reply(429), standing, RULES, draw).pause_s
    ceiling = min(RULES.backoff_cap_s, RULES.backoff_base_s * 2.0 ** min(throttled, 32))
    assert ceiling / 2 <= pause_s <= ceiling


@given(
    seen=st.builds(Reply, st.integers(0, 999), retry_after_s=st.none() | st.floats(0, 1e9))
    | st.builds(trouble, st.sampled_from(Trouble))
    | st.builds(Status, st.sampled_from(Processing)),
    attempts=st.integers(1, 20),
    waited_s=st.floats(0, 10_000),
    outage=st.booleans(),
    singled_out=st.booleans(),
    draw=draws,
)
def test_every_decision_waits_a_bounded_time_and_burns_at_most_one_attempt(
    seen, attempts, waited_s, outage, singled_out, draw
):
    standing = Standing(attempts, waited_s=waited_s, outage=outage, singled_out=singled_out)
    questions = [judge_status] if isinstance(seen, Status) else [judge, judge_status]
    for question in questions:
        match question(seen, standing, RULES, draw):
            case Again(delay_s, burns, pause_s):
                assert 0 <= delay_s <= RULES.retry_after_cap_s
                assert not (burns and pause_s is not None)
                assert not burns or (attempts < RULES.max_attempts and not outage)
            case AskResult(delay_s):
                asked_s = getattr(seen, "retry_after_s", None) or 0.0
                assert delay_s in {0.0, max(RULES.recheck_s, min(asked_s, 300.0))}
            case Read(reply):
                assert reply is seen
            case other:
                assert isinstance(other, AskStatus | Halt | Settle)
