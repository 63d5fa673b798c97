"""The plain reader and row writer, which the pipeline's tests use, behave as the real ones do."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from support.bodies import as_body, sample
from support.doubles import (
    ABSENT,
    AWAITING_FILE,
    FAILED,
    FAULTY,
    FOREIGN_404,
    GARBLED,
    HTML,
    OK,
    PROCESSED,
    REJECTED,
    TOKEN_REFUSED,
    TORN,
    UNDER_WAY,
    entries,
    throttled,
)
from support.plain import PlainReader, PlainRowWriter
from support.readers import reader_of
from support.store import RUN_ID

from cxai.policy.reply import (
    NO_DRIFT,
    Arrival,
    Endpoint,
    Failure,
    Record,
    Refusal,
    Reply,
    Said,
    Status,
)
from cxai.policy.step import Settle
from cxai.policy.verdict import FailureStage, Verdict
from cxai.resources.failures import FailureRows

AT = datetime(2026, 1, 31, tzinfo=UTC)
RESULT, STATUS = Endpoint

RESULTS = {
    "a result": (OK, as_body(sample())),
    "unknown fields": (Reply(200, b"drift: x y"), as_body(sample() | {"x": 1, "y": 2})),
    "garbled": (GARBLED, b'{"another": "object"}'),
    "garbled, with a message": (Reply(200, b"garbled says: no"), b'{"errorMessage": "no"}'),
    "HTML": (HTML, b"<html>"),
    "torn": (TORN, gzip.compress(b"{}")[:-1]),
}
STATUSES = {
    "under way": (UNDER_WAY, b'{"status": "processing"}'),
    "processed": (PROCESSED, b'{"status": "processed"}'),
    "failed": (FAILED, b'{"status": "processingFailed"}'),
    "awaiting file": (AWAITING_FILE, b'{"status": "declared"}'),
    "declared long ago": (
        Reply(200, AWAITING_FILE.body + b" declared: 1000000000"),
        b'{"status": "declared", "declared": "2001-09-09T01:46:40"}',
    ),
    "not documented": (Reply(200, b"archived"), b'{"status": "archived"}'),
    "no status": (OK, b"{}"),
    "HTML": (HTML, b"<html>"),
}
REFUSALS = {
    "absent": (ABSENT, b""),
    "rejected": (REJECTED, b'{"errorMessage": "no such model"}'),
    "foreign": (FOREIGN_404, b"<html>"),
    "token": (TOKEN_REFUSED, b""),
    "faulty": (FAULTY, b""),
    "throttled": (throttled(7.0), b""),
}
CASES = [
    *(pytest.param(RESULT, *case, id=f"result: {name}") for name, case in RESULTS.items()),
    *(pytest.param(STATUS, *case, id=f"status: {name}") for name, case in STATUSES.items()),
    *(
        pytest.param(endpoint, *case, id=f"{endpoint}, refused: {name}")
        for endpoint in Endpoint
        for name, case in REFUSALS.items()
    ),
]


def meaning(seen):
    """Return all that the policy and the pipeline use of a parsed reply."""
    match seen:
        case Record(drift=drift):
            return Record, drift, drift is NO_DRIFT
        case Status():
            return (
                Status, seen.processing, seen.is_known, seen.declared_s, seen.message,
                seen.retry_after_s,
            )  # fmt: skip
        case Failure():
            return (
                Failure, seen.kind, seen.stage, seen.status, seen.message, seen.retry_after_s
            )  # fmt: skip
        case Refusal():
            return seen


@pytest.mark.parametrize(("endpoint", "plain", "body"), CASES)
async def test_a_plain_reply_means_what_the_real_one_does(endpoint, plain, body):
    coding = "gzip" if plain is TORN else ""
    real = Reply(plain.status, body, coding, plain.retry_after_s)
    with ThreadPoolExecutor(1) as thread:
        (expected,) = await reader_of(thread).read([Arrival("id", endpoint, real)], AT)
    (found,) = await PlainReader().read([Arrival("id", endpoint, plain)], AT)
    assert meaning(found) == meaning(expected)


@pytest.mark.parametrize(
    "writer", [PlainRowWriter(), FailureRows(2, RUN_ID)], ids=lambda w: type(w).__name__
)
def test_a_failure_is_one_line_of_its_part_set(writer):
    (entry,) = entries("an-id")
    settle = Settle(Verdict.REJECTED, "HTTP 400", FailureStage.HEADERS)
    ((part_set, line),) = writer.failure(entry, settle, attempts=2, at=AT, said=Said(400)).items()
    assert part_set == "failures"
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    for text in ("an-id", "rejected", "HTTP 400", "headers", "2"):
        assert text in line.decode()
