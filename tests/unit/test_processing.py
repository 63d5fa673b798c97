"""The body of the status endpoint: how far an interaction is, and what is said about it."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bodies import as_body, json_values

from cxai.policy.reply import Failure, FailureKind, Processing, Status
from cxai.policy.verdict import FailureStage
from cxai.resources.processing import STATES, processing


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("processed", Processing.PROCESSED),
        ("Processed", Processing.PROCESSED),
        (" processed ", Processing.PROCESSED),
        ("fileUploadFailed", Processing.FAILED),
        ("fileDownloadFailed", Processing.FAILED),
        ("processingFailed", Processing.FAILED),
        ("PROCESSINGFAILED", Processing.FAILED),
        ("declared", Processing.AWAITING_FILE),
        ("filePendingUpload", Processing.AWAITING_FILE),
        ("FILE_PENDING_UPLOAD", Processing.AWAITING_FILE),
        ("File pending download", Processing.AWAITING_FILE),
        ("processing failed", Processing.FAILED),
        ("processing", Processing.UNDER_WAY),
        ("somethingNew", Processing.UNDER_WAY),
    ],
)
def test_a_status_tells_how_far_the_processing_is(status, means):
    body = {"identifier": "x", "status": status, "processed": None, "errorMessage": None}
    assert processing(as_body(body)).processing is means


def test_every_documented_state_is_known_and_any_other_is_taken_for_under_way():
    found = {name: processing(as_body({"status": name})) for name in [*STATES, "archived"]}
    known = {name for name, status in found.items() if status.is_known}
    assert len(known) == 13
    assert found["archived"].processing is Processing.UNDER_WAY
    assert {name: status.state for name, status in found.items()} == {n: n for n in found}


@pytest.mark.parametrize(
    ("declared", "seconds"),
    [
        ("2022-06-17T21:23:06.137087Z", 1_655_500_986.137087),
        ("2022-06-17T21:23:06.1370879Z", 1_655_500_986.137087),
        ("2022-06-17T21:23:06", 1_655_500_986.0),
        ("2022-06-17T23:23:06+02:00", 1_655_500_986.0),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1_655_500_986, None),
        ({}, None),
    ],
)
def test_the_time_of_the_declaration_is_read_as_utc_where_there_is_one(declared, seconds):
    found = processing(as_body({"status": "declared", "declared": declared}))
    assert found.declared_s == seconds


def test_what_a_status_says_in_words_is_short_and_printable():
    body = {"status": "a\u202eb" * 90, "errorMessage": "line one\nline two " + "x" * 900}
    found = processing(as_body(body))
    assert (len(found.state), len(found.message)) == (64, 200)
    assert found.message.startswith("line one line two x")
    assert found.state.isprintable()


@pytest.mark.parametrize(
    "value", [{}, {"status": None}, {"status": ""}, {"status": " "}, {"status": 2}, [], "processed"]
)
def test_a_body_without_a_status_tells_nothing(value):
    assert processing(as_body(value)) == Failure(
        FailureKind.NOT_A_RESULT, FailureStage.VALIDATE, "has no status"
    )


@given(st.binary(max_size=50) | json_values.map(orjson.dumps))
@settings(max_examples=100, deadline=None)
def test_any_status_body_is_a_processing_or_a_failure(body):
    assert isinstance(processing(body), Status | Failure)


@pytest.mark.parametrize("body", [b"", b"<html>", b"nonsense", b"{"])
def test_a_status_that_is_not_json_fails_where_it_is_parsed(body):
    assert processing(body).stage is FailureStage.PARSE
