"""Whole lives of IDs, replayed: one for each way to a verdict."""

import pytest
from support.defaults import policy_settings

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
from cxai.policy.step import ApiConditions, Ask, Job, Keep, Settle, step
from cxai.policy.verdict import FailureStage, Verdict

RULES = policy_settings(max_attempts=3)
UTC_S = 1_800_000_000.0
DRAW = 0.5

RESULT, STATUS = Endpoint
RECORD = Record({"records": b"{}\n"})
MISSING = Refusal(404)
PAGE = Refusal(404, Form.FOREIGN)
PROCESSED = Status(Processing.PROCESSED, "processed")
UNDER_WAY = Status(Processing.UNDER_WAY, "processing")
HTML = Failure(FailureKind.NOT_JSON, FailureStage.PARSE, "HTML or XML", status=200)
TORN = Failure(FailureKind.UNDECODABLE, FailureStage.DECODE, "cut", status=200)
OTHER_JSON = Failure(FailureKind.NOT_A_RESULT, FailureStage.VALIDATE, "no participant", status=200)
CODING = Failure(FailureKind.UNSUPPORTED_ENCODING, FailureStage.DECODE, "zstd", status=200)
BOMB = Failure(FailureKind.TOO_LARGE, FailureStage.DECODE, "more than 1 GiB", status=200)
TIMEOUT = Failure(FailureKind.TIMEOUT, FailureStage.HEADERS, "timeout while reading headers")
DROPPED = Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, "Connection refused")
FORBIDDEN = Refusal(403, Form.OWN, "Not yours.")
LIMIT = Refusal(429, retry_after_s=5.0)

# Each step of a life: what was asked and when (seconds from its first), what came back, what
# followed.
LIVES = {
    "it has a result": [
        (RESULT, 0, RECORD, Keep(RECORD)),
    ],
    "it has a result after a limit, a timeout and a lost connection": [
        (RESULT, 0, LIMIT, Ask(5.0, pause_s=5.0)),
        (RESULT, 5, TIMEOUT, Ask(0.5)),
        (RESULT, 9, DROPPED, Ask(1.0)),
        (RESULT, 10, RECORD, Keep(RECORD)),
    ],
    "it is processed while it is waited for": [
        (RESULT, 0, MISSING, Ask()),
        (STATUS, 1, UNDER_WAY, Ask(30.0)),
        (RESULT, 31, MISSING, Ask()),
        (STATUS, 32, PROCESSED, Ask()),
        (RESULT, 33, RECORD, Keep(RECORD)),
    ],
    "it is not ready when patience ends": [
        (RESULT, 0, MISSING, Ask()),
        (STATUS, 860, UNDER_WAY, Ask(30.0)),
        (RESULT, 890, MISSING, Ask()),
        (STATUS, 891, UNDER_WAY, Settle(Verdict.NOT_READY, "still being processed", FailureStage.BODY)),  # noqa: E501
    ],
    "there is no such interaction": [
        (RESULT, 0, MISSING, Ask()),
        (STATUS, 1, MISSING, Settle(Verdict.NOT_FOUND, "no such interaction", FailureStage.HEADERS)),  # noqa: E501
    ],
    "its result has been deleted": [
        (RESULT, 0, MISSING, Ask()),
        (STATUS, 1, PROCESSED, Ask()),
        (RESULT, 2, MISSING, Ask(5.0)),
        (RESULT, 7, MISSING, Settle(
            Verdict.NOT_FOUND,
            "processed, but there is no CX AI result:"
            " deleted after 45 days, or declared without CX AI (includeAiResults)",
            FailureStage.HEADERS,
        )),
    ],
    "its processing has failed": [
        (RESULT, 0, Refusal(204), Ask()),
        (STATUS, 1, Status(Processing.FAILED, "processingFailed"), Settle(
            Verdict.PROCESSING_FAILED,
            "the API failed to process it (processingFailed)",
            FailureStage.BODY,
        )),
    ],
    "its file never arrived": [
        (RESULT, 0, MISSING, Ask()),
        (STATUS, 1, Status(Processing.AWAITING_FILE, "declared", declared_s=UTC_S - 90_000), Settle(
            Verdict.PROCESSING_FAILED,
            "declared 25 hours ago and its file never arrived (declared)",
            FailureStage.BODY,
        )),
    ],
    "the API refuses the request": [
        (RESULT, 0, Refusal(400, Form.OWN), Settle(Verdict.REJECTED, "HTTP 400", FailureStage.HEADERS)),  # noqa: E501
    ],
    "a gateway refuses the request": [
        (RESULT, 0, Refusal(400, Form.FOREIGN), Ask(0.75)),
        (RESULT, 1, Refusal(400, Form.FOREIGN),
         Settle(Verdict.REJECTED, "HTTP 400", FailureStage.HEADERS)),
    ],
    "it is forbidden, alone": [
        (RESULT, 0, FORBIDDEN, Ask(0.75)),
        (RESULT, 1, FORBIDDEN, Settle(
            Verdict.REJECTED, "HTTP 403, though the token is good for others", FailureStage.HEADERS
        )),
    ],
    "a gateway's page replaces a missing result": [
        (RESULT, 0, PAGE, Ask(0.75)),
        (RESULT, 1, PAGE, Ask()),
        (STATUS, 2, MISSING, Settle(Verdict.NOT_FOUND, "no such interaction", FailureStage.HEADERS)),  # noqa: E501
    ],
    "a gateway's page replaces both": [
        (RESULT, 0, PAGE, Ask(0.75)),
        (RESULT, 1, PAGE, Ask()),
        (STATUS, 2, PAGE, Settle(Verdict.REJECTED, "HTTP 404", FailureStage.HEADERS)),
    ],
    "a page of a proxy each time": [
        (RESULT, 0, HTML, Ask(0.5)),
        (RESULT, 1, HTML, Ask(1.0)),
        (RESULT, 2, HTML, Settle(Verdict.BAD_BODY, "HTML or XML", FailureStage.PARSE)),
    ],
    "something other than a result": [
        (RESULT, 0, OTHER_JSON, Ask(0.75)),
        (RESULT, 1, OTHER_JSON, Settle(Verdict.BAD_BODY, "no participant", FailureStage.VALIDATE)),
    ],
    "a damaged body each time": [
        (RESULT, 0, TORN, Ask(0.5)),
        (RESULT, 1, TORN, Ask(1.0)),
        (RESULT, 2, TORN, Settle(Verdict.CORRUPT_BODY, "cut", FailureStage.DECODE)),
    ],
    "another coding than was asked for": [
        (RESULT, 0, CODING, Ask(0.75)),
        (RESULT, 1, CODING, Settle(Verdict.UNSUPPORTED_ENCODING, "zstd", FailureStage.DECODE)),
    ],
    "too large": [
        (RESULT, 0, BOMB, Settle(Verdict.TOO_LARGE, "more than 1 GiB", FailureStage.DECODE)),
    ],
    "a redirect each time": [
        (RESULT, 0, Refusal(302), Ask(0.75)),
        (RESULT, 1, Refusal(302), Settle(Verdict.REDIRECTED, "HTTP 302", FailureStage.HEADERS)),
    ],
    "it fails in several ways": [
        (RESULT, 0, TORN, Ask(0.5)),
        (RESULT, 1, Refusal(500), Ask(1.0)),
        (RESULT, 2, TORN, Settle(Verdict.EXHAUSTED, "cut", FailureStage.DECODE)),
    ],
    "its status can not be read": [
        (RESULT, 0, MISSING, Ask()),
        (STATUS, 1, OTHER_JSON, Ask(0.5)),
        (STATUS, 2, Refusal(400, Form.OWN), Ask(1.0)),
        (STATUS, 3, TIMEOUT, Settle(
            Verdict.EXHAUSTED, "timeout while reading headers", FailureStage.HEADERS
        )),
    ],
}  # fmt: skip


def replay(life):
    """Return the job at the end of a life; each step has to be as it was recorded."""
    job = Job()
    for endpoint, now_s, seen, decision in life:
        assert job.endpoint is endpoint
        job, followed = step(job, seen, ApiConditions(float(now_s), UTC_S + now_s), RULES, DRAW)
        assert followed == decision
    return job


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_each_recorded_life_is_replayed_exactly(life):
    assert replay(life) == replay(life)


def test_there_is_a_life_for_every_verdict_that_replies_can_lead_to():
    ends = [life[-1][-1] for life in LIVES.values()]
    reached = {Verdict.OK if isinstance(end, Keep) else end.verdict for end in ends}
    never_asked_for = {Verdict.INVALID_ID, Verdict.POISON}
    assert reached == set(Verdict) - never_asked_for


def test_the_last_job_of_a_life_has_its_history():
    failed = replay(LIVES["it fails in several ways"])
    assert (failed.attempts, failed.failing_as) == (3, Verdict.EXHAUSTED)
    assert replay(LIVES["it is forbidden, alone"]).said == Said(403, "Not yours.")
    deleted = replay(LIVES["its result has been deleted"])
    assert deleted.said == Said(404, None, "processed")
    assert (deleted.absent_since_s, deleted.attempts) == (0.0, 0)
