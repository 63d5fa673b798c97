"""The rows that list IDs without a record."""

import json
from datetime import UTC, datetime

from support.store import RUN_ID

from cxai.core.entry import Entry
from cxai.policy.reply import Said
from cxai.policy.step import Settle
from cxai.policy.verdict import FailureStage, Verdict
from cxai.resources.failures import FailureRows

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2025, 1, 31, 2, 3, 4, 5678, tzinfo=UTC)


def entry(**fields):
    return Entry(**{"key": b"k", "id": ID, "source": "ids.txt", "line": 7, **fields})


def failure(entry, verdict, reason, stage, said=Said()):  # noqa: B008 - it is frozen
    rows = FailureRows(2, RUN_ID)
    settle = Settle(verdict, reason, stage)
    return rows.failure(entry, settle, attempts=2, at=AT, said=said)


def test_a_failure_says_what_why_where_and_when():
    said = Said(status=400, message="no such language", state="processed")
    (line,) = failure(entry(), Verdict.REJECTED, "HTTP 400", FailureStage.HEADERS, said).values()
    assert line == (
        b'{"interaction_id":"0f8fad5b-d9cb-469f-a165-70867728950e","schema_version":2,'
        b'"retrieved_at":"2025-01-31T02:03:04.005Z",'
        b'"run_id":"3f0c2b6e-7a51-4f0e-9f63-1d3c6a9b2e44","verdict":"rejected",'
        b'"reason":"HTTP 400","stage":"headers","attempts":2,"api_status":400,'
        b'"api_message":"no such language","api_state":"processed","source":"ids.txt","line":7}\n'
    )


def test_a_failure_of_which_the_api_said_nothing_has_the_same_columns():
    (line,) = failure(entry(), Verdict.INVALID_ID, "no GUID", FailureStage.INPUT).values()
    row = json.loads(line)
    assert (row["api_status"], row["api_message"], row["api_state"]) == (None, None, None)


def test_a_source_whose_name_is_no_unicode_is_shown_escaped():
    named = entry(source=b"caf\xe9.txt".decode("utf-8", "surrogateescape"))
    lines = failure(named, Verdict.INVALID_ID, "why", FailureStage.INPUT)
    assert json.loads(lines["failures"])["source"] == "caf\\udce9.txt"
