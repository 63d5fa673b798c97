"""What a reader makes of its blocks, without a process around it."""

from dataclasses import replace
from datetime import UTC, datetime

from support.bodies import as_body, sample
from support.command import TOKEN
from support.store import RUN_ID

from cxai.policy.reply import Arrival, Endpoint, Record, Refusal, Reply
from cxai.readers.process import BlockParser
from cxai.readers.wire import Block, Recipe
from cxai.resources.options import Shape
from cxai.resources.reply_parser import SMALL_BYTES

AT = datetime(2026, 1, 31, 2, 3, 4, tzinfo=UTC)
RECIPE = Recipe("cx_ai", Shape.NESTED, RUN_ID, None, 200.0)
RESULT = Arrival(
    "0f8fad5b-d9cb-469f-a165-70867728950e", Endpoint.RESULT, Reply(200, as_body(sample()))
)


def with_body(body, status=200):
    return replace(RESULT, reply=Reply(status, body))


def read(parser, *arrived, secrets=()):
    answer = parser.read(Block(7, AT, secrets, list(arrived)))
    assert answer.number == 7
    return [parsed.seen for parsed in answer.parsed]


def test_a_record_for_which_an_answer_has_no_room_is_left_to_the_worker():
    (record,) = read(BlockParser(RECIPE), RESULT)
    size = len(record.lines["records"])
    refused, missing = with_body(b"", 404), with_body(b"{}")
    large = with_body(as_body(sample() | {"padding": "x" * size}))
    found = read(BlockParser(RECIPE, 2 * size), RESULT, large, refused, RESULT, RESULT, missing)
    assert [type(seen) for seen in found[:5]] == [Record, type(None), Refusal, Record, type(None)]
    assert found[5] is not None


def test_a_body_that_is_too_large_for_a_reader_is_left_to_the_worker():
    assert read(BlockParser(RECIPE), with_body(b" " * (SMALL_BYTES + 1)), RESULT)[0] is None


def test_a_token_that_was_renewed_is_masked_from_the_next_block_on():
    parser = BlockParser(RECIPE)
    echo = with_body(as_body(sample() | {"echo": [TOKEN]}))
    (before,) = read(parser, echo, secrets=("other",))
    (after,) = read(parser, echo, secrets=("other", TOKEN))
    assert TOKEN.encode() in before.lines["records"]
    assert TOKEN.encode() not in after.lines["records"]
