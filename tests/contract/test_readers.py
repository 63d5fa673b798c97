"""Every reader parses a reply to the same result, whichever process reads it."""

import gzip
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import brotli
import pytest
from support.bodies import as_body, body_with_model, sample
from support.readers import Counted, reader_of, reader_pool
from support.store import RUN_ID
from support.waiting import wait_until

from cxai.core.secret_str import SecretStr
from cxai.observe.redaction import Redaction
from cxai.policy.reply import Arrival, Endpoint, Failure, Record, Refusal, Reply, Status
from cxai.resources.options import RowOptions, ScoreRanges, Shape
from cxai.resources.registry import open_resource
from cxai.resources.reply_parser import SMALL_BYTES

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2026, 1, 31, 2, 3, 4, 567_000, tzinfo=UTC)
GUID = "9B2f61Ce-44a0-4d3E-8f17-c05d2aE6731b"
BANDS = b"""[[table]]
bundle = "Customer Satisfaction"
bands = [{ name = "low", upper = 0 }, { name = "high", lower = 0 }]
"""
BODY = as_body(sample())
ECHO = as_body(sample() | {"echo": [GUID, GUID.lower()], GUID: "key"})
LARGE = as_body(sample() | {"padding": random.Random(3).randbytes(SMALL_BYTES // 2).hex()})

RESULTS = {
    "plain": Reply(200, BODY),
    "br": Reply(200, brotli.compress(BODY), "br"),
    "gzip": Reply(200, gzip.compress(BODY, mtime=0), "gzip"),
    "two codings": Reply(200, brotli.compress(gzip.compress(BODY, mtime=0)), "gzip, br"),
    "absent and unknown fields": Reply(200, body_with_model(score=..., extra={"a": [1, None]})),
    "no participant": Reply(200, b'{"participantOne": null, "new": {"a": 1e300, "b": "\xc3\xa9"}}'),
    "the token": Reply(200, ECHO),
    "truncated": Reply(200, brotli.compress(BODY)[:-1], "br"),
    "unknown coding": Reply(200, BODY, "x-unknown", retry_after_s=3.0),
    "a coding that is not Unicode": Reply(200, BODY, "\udcff"),
    "HTML": Reply(200, b"<html>Sign in</html>"),
    "an error": Reply(200, b'{"errorMessage": "No: %s"}' % GUID.encode()),
    "a wrong type": Reply(200, body_with_model(score="high")),
    "NaN": Reply(200, b'{"participantOne": NaN}'),
    "nested too deeply": Reply(
        200, b'{"allParticipants": null, "a": %b}' % (b"[" * 400 + b"]" * 400)
    ),
    "empty": Reply(200),
    "large": Reply(200, LARGE),
    "large, small as sent": Reply(200, brotli.compress(LARGE + b" " * SMALL_BYTES, 1), "br"),
    "a bomb": Reply(200, gzip.compress(bytes(16 * SMALL_BYTES), 1, mtime=0), "gzip"),
}
STATES = {
    "under way": Reply(200, b'{"status": "processing"}', retry_after_s=7.0),
    "failed": Reply(200, b'{"status": "processingFailed", "errorMessage": "No."}'),
    "waiting": Reply(200, b'{"status": "declared", "declared": "2026-01-30T12:00:00"}'),
    "not documented": Reply(200, b'{"status": "dreaming"}'),
    "no status": Reply(200, b"{}"),
}
REFUSALS = {
    "nothing": Reply(404),
    "its own words": Reply(409, b'{"errorMessage": "No."}', retry_after_s=2.0),
    "a gateway's": Reply(502, b"<html>", is_cut=True),
    "cut before it began": Reply(429, is_cut=True),
    "the token": Reply(401, gzip.compress(b'{"errorMessage": "%s?"}' % GUID.encode()), "gzip"),
}
ARRIVED = [
    *(Arrival(ID, Endpoint.RESULT, reply) for reply in (*RESULTS.values(), *REFUSALS.values())),
    *(Arrival(ID, Endpoint.STATUS, reply) for reply in (*STATES.values(), *REFUSALS.values())),
]
READ_HERE = {"large", "large, small as sent", "a bomb", "a coding that is not Unicode"}


@pytest.mark.parametrize(
    ("shape", "ranges"), [(Shape.NESTED, None), (Shape.TABLES, BANDS)], ids=["nested", "tables"]
)
async def test_every_reader_parses_every_kind_of_reply_to_the_same_result(shape, ranges):
    bands = ranges and ScoreRanges(Path("bands.toml"), ranges)
    resource = open_resource("cx_ai", RowOptions(shape, RUN_ID, bands))
    with ThreadPoolExecutor(1) as thread:
        own = reader_of(thread, resource=resource, secrets=Redaction(SecretStr(GUID)))
        here = Counted(own)
        recipe_bands = ranges and ("bands.toml", ranges)
        async with reader_pool(here, shape=shape, bands=recipe_bands, secrets=[GUID]) as pool:
            await wait_until(lambda: "reader_started" in pool.events.names, "a reader")
            found = await pool.read(ARRIVED, AT)
        expected = await own.read(ARRIVED, AT)
    assert found == expected
    assert here.replies == len(READ_HERE)  # all others were read by the reader
    assert {type(seen) for seen in found} == {Record, Status, Refusal, Failure}
    assert GUID.lower() not in repr([getattr(seen, "lines", seen) for seen in found]).lower()
