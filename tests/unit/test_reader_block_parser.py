"""How a reader parses blocks, without a process around it."""

from dataclasses import replace
from datetime import UTC, datetime

from support.bodies import as_body, sample
from support.command import TOKEN
from support.store import RUN_ID

from cxai.policy.reply import Arrival, Endpoint, Record, Refusal, Reply
from cxai.readers.block_parser import BlockParser
from cxai.readers.wire import Block, ReaderSettings
from cxai.resources.options import Shape
from cxai.resources.reply_parser import SMALL_BYTES

AT = datetime(2026, 1, 31, 2, 3, 4, tzinfo=UTC)
SETTINGS = ReaderSettings("cx_ai", Shape.NESTED, RUN_ID, None, 200.0)
RESULT = Arrival(
    "0f8fad5b-d9cb-469f-a165-70867728950e", Endpoint.RESULT, Reply(200, as_body(sample()))
)


def with_body(body, status=200):
    return replace(RESULT, reply=Reply(status, body))


def read(parser, *arrived, secrets=()):
    answer = parser.read(Block(7, AT, secrets, list(arrived)))
    assert answer.number == 7
    return [parsed.reply for parsed in answer.parsed]


def test_a_record_that_does_not_fit_into_the_answer_is_left_to_the_worker():
    (record,) = read(BlockParser(SETTINGS), RESULT)
    size = len(record.lines["records"])
    refused, missing = with_body(b"", 404), with_body(b"{}")
    large = with_body(as_body(sample() | {"padding": "x" * size}))
    found = read(BlockParser(SETTINGS, 2 * size), RESULT, large, refused, RESULT, RESULT, missing)
    assert [type(reply) for reply in found[:5]] == [Record, type(None), Refusal, Record, type(None)]
    assert found[5] is not None


def test_a_body_that_is_too_large_for_a_reader_is_left_to_the_worker():
    assert read(BlockParser(SETTINGS), with_body(b" " * (SMALL_BYTES + 1)), RESULT)[0] is None


def test_a_renewed_token_is_masked_from_the_next_block_on():
    parser = BlockParser(SETTINGS)
    echo = with_body(as_body(sample() | {"echo": [TOKEN]}))
    (before,) = read(parser, echo, secrets=("other",))
    (after,) = read(parser, echo, secrets=("other", TOKEN))
    assert TOKEN.encode() in before.lines["records"]
    assert TOKEN.encode() not in after.lines["records"]
