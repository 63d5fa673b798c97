"""The reader of replies: from a reply to a record, a status, a refusal or a failure."""

import gzip
import random
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import brotli
import pytest
from support.bodies import as_body, sample
from support.readers import reader_of, seen_by
from support.store import RUN_ID

from cxai.policy.reply import (
    Endpoint,
    Failure,
    FailureKind,
    Form,
    Processing,
    Record,
    Refusal,
    Reply,
    Status,
)
from cxai.policy.verdict import FailureStage
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.options import Shape
from cxai.resources.reply_parser import SMALL_BYTES

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2026, 1, 31, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture
def reader(thread):
    return reader_of(thread)


async def result_of(reader, reply):
    return await seen_by(reader, ID, Endpoint.RESULT, reply, AT)


async def status_of(reader, reply):
    return await seen_by(reader, ID, Endpoint.STATUS, reply, AT)


def record_of(value):
    """Return the record that the resource makes of a result."""
    found = CxAi(Shape.NESTED, RUN_ID).read(ID, as_body(value), AT)
    assert isinstance(found, Record)
    return found


# --- 200 ---


async def test_a_result_is_decoded_and_formatted(reader):
    body = brotli.compress(as_body(sample()))
    assert await result_of(reader, Reply(200, body, "br")) == record_of(sample())


async def test_a_status_is_decoded_and_keeps_the_retry_after_of_its_reply(reader):
    body = brotli.compress(b'{"status": "processing", "errorMessage": "Wait."}')
    found = await status_of(reader, Reply(200, body, "br", retry_after_s=7.0))
    assert found == Status(Processing.UNDER_WAY, "processing", message="Wait.", retry_after_s=7.0)


@pytest.mark.parametrize(
    ("body", "coding", "kind", "stage"),
    [
        (brotli.compress(b"{}")[:-1], "br", FailureKind.UNDECODABLE, FailureStage.DECODE),
        (b"{}", "x-unknown", FailureKind.UNSUPPORTED_ENCODING, FailureStage.DECODE),
        (b"<html>Sign in</html>", "", FailureKind.NOT_JSON, FailureStage.PARSE),
        (b"[]", "", FailureKind.NOT_A_RESULT, FailureStage.VALIDATE),
    ],
)
@pytest.mark.parametrize("read", [result_of, status_of])
async def test_a_200_without_a_result_is_a_failure_with_the_details_of_its_reply(
    reader, read, body, coding, kind, stage
):
    found = await read(reader, Reply(200, body, coding, retry_after_s=3.0))
    assert (found.kind, found.stage) == (kind, stage)
    assert (found.status, found.message, found.retry_after_s) == (200, None, 3.0)


async def test_a_200_with_an_error_is_a_failure_with_the_message_of_the_api(reader):
    body = gzip.compress(b'{"errorMessage": "Try again."}')
    found = await result_of(reader, Reply(200, body, "gzip"))
    assert (found.kind, found.message) == (FailureKind.NOT_A_RESULT, "Try again.")


async def test_a_body_above_the_limit_is_a_failure(thread):
    reader = reader_of(thread, most_bytes=100)
    found = await result_of(reader, Reply(200, as_body(sample())))
    assert found.kind is FailureKind.TOO_LARGE
    assert (await status_of(reader, Reply(200, b" " * 101))).kind is FailureKind.TOO_LARGE


# --- large bodies ---


@pytest.mark.parametrize(
    ("coding", "encode"),
    [("", bytes), ("br", partial(brotli.compress, quality=5)), ("gzip", gzip.compress)],
    ids=["plain", "br", "gzip"],
)
async def test_a_large_body_is_read_on_the_thread_with_the_same_result(thread, coding, encode):
    small = sample()
    large = sample() | {"padding": random.Random(3).randbytes(SMALL_BYTES // 2).hex()}
    read_on = []
    reader = reader_of(Watched(thread, read_on))
    for value, threads in ((small, 0), (large, 1)):
        read_on.clear()
        reply = Reply(200, encode(as_body(value)), coding)
        assert await result_of(reader, reply) == record_of(value)
        assert len(read_on) == threads


async def test_only_the_first_mebibyte_of_a_bomb_is_decoded_on_the_event_loop(thread):
    read_on = []
    reader = reader_of(Watched(thread, read_on))
    bomb = gzip.compress(bytes(64 * SMALL_BYTES))
    found = await result_of(reader, Reply(200, bomb, "gzip"))
    assert found.kind is FailureKind.TOO_LARGE
    assert len(read_on) == 1


class Watched(Executor):
    """An executor that records its work."""

    def __init__(self, thread, given):
        self._thread, self._given = thread, given

    def submit(self, work, /, *arguments):
        self._given.append(work)
        return self._thread.submit(work, *arguments)


# --- any other status ---

OWN = b'{"errorMessage": "No."}'


@pytest.mark.parametrize(
    ("body", "coding", "form", "message"),
    [
        (b"", "", Form.EMPTY, None),
        (b"", "gzip", Form.EMPTY, None),
        (b" \r\n", "", Form.EMPTY, None),
        (gzip.compress(b""), "gzip", Form.EMPTY, None),
        (OWN, "", Form.OWN, "No."),
        (gzip.compress(OWN), "gzip", Form.OWN, "No."),
        (brotli.compress(OWN), "br", Form.OWN, "No."),
        (OWN + b" " * 50_000, "", Form.OWN, "No."),
        (b'{"title": "Conflict", "status": 409}', "", Form.OWN, "Conflict"),
        (b'{"message": "Forbidden"}', "", Form.FOREIGN, "Forbidden"),
        (b"upstream connect error", "", Form.FOREIGN, "upstream connect error"),
        (b"<html>Sign in</html>", "", Form.FOREIGN, None),
        # A body that can't be read may come from a proxy.
        (OWN[:-1], "", Form.FOREIGN, None),
        (gzip.compress(OWN)[:-9], "gzip", Form.FOREIGN, None),
        (OWN, "gzip", Form.FOREIGN, None),
        (OWN, "x-unknown", Form.FOREIGN, None),
        (OWN + b" " * 70_000, "", Form.FOREIGN, None),
        (gzip.compress(OWN + b" " * 70_000), "gzip", Form.FOREIGN, None),
    ],
)
@pytest.mark.parametrize("read", [result_of, status_of])
async def test_another_status_is_a_refusal_with_the_form_and_message_of_its_body(
    reader, read, body, coding, form, message
):
    found = await read(reader, Reply(409, body, coding, retry_after_s=2.0))
    assert found == Refusal(409, form, message, 2.0)


@pytest.mark.parametrize(
    ("body", "form"), [(b"", Form.FOREIGN), (b" ", Form.FOREIGN), (OWN + b" ", Form.OWN)]
)
async def test_a_body_that_timed_out_is_not_an_empty_one(reader, body, form):
    assert (await result_of(reader, Reply(404, body, is_cut=True))).form is form


async def test_no_size_limit_prevents_a_refusal(thread):
    reader = reader_of(Watched(thread, []), most_bytes=10)
    assert await result_of(reader, Reply(429, OWN)) == Refusal(429, Form.OWN, "No.")
    assert isinstance(await result_of(reader, Reply(200, OWN)), Failure)
