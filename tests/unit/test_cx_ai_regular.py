"""Regular bodies: which are, and that they give the same bytes as by the general reader."""

import gc
import json
import struct
import sys
from datetime import UTC, datetime
from random import Random

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from support.bodies import as_body, body_with_model, body_with_score, results, sample
from support.store import RUN_ID

from cxai.policy.reply import Record
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.form import MAX_BUNDLE_NAME_CHARS, PARTICIPANTS
from cxai.resources.cx_ai.regular import MOST, read_regular
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.options import Shape

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
AT = datetime(2025, 1, 31, 2, 3, 4, 5678, tzinfo=UTC)
BANDS = Bands(
    {
        "table": [
            {"bundle": "Customer Satisfaction", "bands": [{"name": "low", "upper": 0}]},
            {"bundle": "name", "model": "extra", "bands": [{"name": "high", "lower": 0}]},
        ]
    }
)
RESOURCES = [CxAi(shape, RUN_ID, bands) for shape in Shape for bands in (None, BANDS)]


def assert_same(body):
    """Compare the two readers, in both shapes, with and without bands."""
    for resource in RESOURCES:
        assert resource.read(ID, body, AT) == resource.read_any(ID, body, AT)


def body_of_segments(numbers=("0",), texts=('"voice"',)):
    """Return a body with a segment for each pair of a number and a text, both as JSON."""
    count = max(len(numbers), len(texts))
    segments = ",".join(
        f'{{"startTimeOffset":{numbers[n % len(numbers)]},"endTimeOffset":0'
        f',"result":{texts[n % len(texts)]}}}'
        for n in range(count)
    )
    participant = f'{{"enlightenBundles":null,"voiceActivitySegments":[{segments}]}}'
    return f'{{"participantTwo":{participant}}}'.encode("utf-8", "surrogatepass")


def with_bundle_name(name):
    value = sample()
    value["allParticipants"]["enlightenBundles"][0]["name"] = name
    return as_body(value)


# --- which bodies are regular ---


@pytest.mark.parametrize(
    "body",
    [
        as_body(sample()),
        json.dumps(sample(), indent="\t").encode() + b"\r\n",
        as_body({"participantTwo": sample()["participantOne"], "participantOne": None}),
        body_with_model(name=None, score=None, minScoreOffset=None),
        body_with_model(score=-MOST, maxScore=int(MOST), quartile1=5e-324),
        body_with_score(b'1, "score": 2'),
        with_bundle_name("\u00e9" * MAX_BUNDLE_NAME_CHARS),
    ],
)
def test_a_body_as_documented_is_regular(body):
    assert read_regular(body) is not None
    assert_same(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        as_body(sample()) + b"x",
        as_body(sample())[:-1],
        b"\xef\xbb\xbf" + as_body(sample()),
        as_body(dict.fromkeys(["allParticipants", "participantOne"])),
        as_body({**sample(), "version": 1}),
        as_body({**sample(), "all_participants": None}),
        body_with_model(confidence=0.5),
        body_with_model(band="low"),
        body_with_model(score=...),
        body_with_model(score="1"),
        body_with_model(score=True),
        body_with_model(score=1e16),
        body_with_model(minScoreOffset=-(10**15) - 1),
        body_with_model(name=1),
        body_with_score(b'"1", "score": 1'),
        *map(body_with_score, (b"NaN", b"1e400", b"01", b"1.", b"+1", b"-Infinity", b"2" * 400)),
        with_bundle_name("x" * (MAX_BUNDLE_NAME_CHARS + 1)),
        *(
            body_of_segments(texts=(text,))
            for text in ('"\\ud800"', '"\\udc00\\ud800"', '"\ud800"', '"\t"', '"\\x41"', "[]")
        ),
    ],
)
def test_any_other_body_is_not_regular(body):
    assert read_regular(body) is None
    assert_same(body)


def test_the_participants_stand_in_the_order_of_the_form():
    found = read_regular(as_body(dict(reversed(sample().items()))))
    assert [bool(participant.enlighten_bundles) for participant in found] == [True, False, False]
    assert len(found) == len(PARTICIPANTS)


# --- the same bytes ---


@given(value=results(deviating=True))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_both_readers_give_the_same_lines_and_drift(value):
    assert_same(orjson.dumps(value))


def test_both_readers_give_the_same_bytes_for_numbers():
    chance = Random(2026)
    doubles = (struct.unpack("<d", chance.randbytes(8))[0] for _ in range(3000))
    tokens = [repr(double) for double in doubles if abs(double) <= MOST]
    tokens += ["-0", "-0.0", "0e5", "1E+2", "1e-400", "4.9e-324", "2e-324", "1e15", "1e-5", "1e-6"]
    tokens += [f"0.1{'0' * 4000}1", f"{2**53 / 16:.1f}5", "0.30000000000000004", "1" * 15]
    for _ in range(500):
        digits = str(chance.randrange(10 ** chance.randint(1, 40)))
        tokens.append(f"{chance.choice(('', '-'))}0.{digits}e{chance.randint(-330, 15)}")
        tokens.append(repr(chance.uniform(-1, 1) * 10 ** chance.randint(-12, 15)))
        tokens.append(str(chance.randrange(-(10**15), 10**15)))
    body = body_of_segments(numbers=tokens)
    assert read_regular(body) is not None
    assert_same(body)


def test_both_readers_give_the_same_bytes_for_texts():
    characters = [chr(point) for point in (*range(0x3100), *range(0xFF00, 0x10000), 0x1F600)]
    texts = [json.dumps(f"a{character}") for character in characters]  # escaped beyond ASCII
    texts += [json.dumps(f"{character}b", ensure_ascii=False) for character in characters]
    texts += ['"\\/"', '"},{\\"participant\\":"', '"\\u2028"', '"\U0010ffff"']
    body = body_of_segments(texts=texts)
    assert read_regular(body) is not None
    assert_same(body)


def test_a_regular_body_has_lines_in_each_set_that_it_fills():
    by_shape = [CxAi(shape, RUN_ID).read(ID, as_body(sample()), AT) for shape in Shape]
    assert all(isinstance(found, Record) for found in by_shape)
    assert [{*found.lines} for found in by_shape] == [
        {"records"},
        {"interactions", "scores", "segments"},
    ]
    assert {*CxAi(Shape.TABLES, RUN_ID).read(ID, body_of_segments(), AT).lines} == {
        "interactions",
        "segments",
    }


def test_reading_a_body_leaves_no_memory_behind():
    def blocks_after(reads):
        for resource in RESOURCES:
            for _ in range(reads):
                resource.read(ID, body, AT)
        gc.collect()
        return sys.getallocatedblocks()

    body = as_body(sample())
    before = blocks_after(reads=10)
    assert blocks_after(reads=500) - before < 100
