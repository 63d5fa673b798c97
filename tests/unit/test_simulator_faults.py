"""Each fault does what its name says, over real HTTP or as raw bytes."""

import asyncio
import contextlib
import gzip
import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import brotli
import orjson
import pytest
from support.raw_server import header
from support.simulator import (
    ID,
    TOKEN,
    always,
    ask,
    decode,
    interaction_ids,
    result,
    simulate,
    status,
)

from cxai.simulator import Fault, Kind, Scenario, behaviour_of, expected_result
from cxai.simulator.bodies import VARIANTS, result_json
from cxai.simulator.response_faults import ELSEWHERE
from cxai.simulator.scenarios import named
from cxai.simulator.wire_faults import DRIP_S

HARMLESS = {
    Fault.BIG_INTEGER, Fault.DUPLICATE_KEYS, Fault.LINE_SEPARATORS, Fault.UNKNOWN_FIELDS,
    Fault.MISSING_FIELDS, Fault.ECHO_TOKEN, Fault.BOM, Fault.DOUBLE_ENCODING, Fault.MULTI_MEMBER,
    Fault.RAW_DEFLATE, Fault.EARLY_HINTS,
}  # fmt: skip
CHANGED_JSON = {fault: fault.entry.json for fault in Fault if fault.entry.json}
CHANGED_CODINGS = {fault: fault.entry.encode for fault in Fault if fault.entry.encode}


async def get_raw(sim, *, within_s=5.0):
    """Return head and body as sent, and whether the end came within so many seconds."""
    host, port = sim.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /v1/interactions/{ID}/ai HTTP/1.1\r\nHost: x\r\nX-API-Token: {TOKEN}\r\n\r\n".encode()
    )
    sent = b""
    try:
        async with asyncio.timeout(within_s):
            while some := await reader.read(1 << 16):
                sent += some
        ended = True
    except TimeoutError:
        ended = False
    writer.transport.abort()
    head, _, body = sent.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body, ended


# --- faults by ID -----------------------------------------------------------------------------


def test_each_id_has_its_fault_and_all_faults_occur():
    scenario = Scenario(faulty=0.9)
    behaviours = [behaviour_of(scenario, i) for i in interaction_ids(3_000)]

    assert behaviours == [behaviour_of(scenario, i) for i in interaction_ids(3_000)]
    assert {its.fault for its in behaviours if its.kind is Kind.FAULTY} == set(Fault)
    assert {its.fault for its in behaviours if its.kind is Kind.OK} == {None}


async def test_a_fault_lasts_as_long_as_the_scenario_says():
    async with always(Fault.REJECTED, fault_lasts=2) as passing, always(Fault.REJECTED) as lasting:
        assert [(await ask(passing))[0] for _ in range(4)] == [400, 400, 200, 200]
        assert [(await ask(lasting))[0] for _ in range(4)] == [400] * 4

    assert passing.stats.by_fault == {"rejected": 2}
    assert passing.stats.to_dict()["by_fault"] == {"rejected": 2}


async def test_the_status_of_a_faulty_id_is_right():
    async with always(Fault.NO_REPLY) as sim:
        code, _, body = await ask(sim, status(ID))

    assert (code, json.loads(body)["status"]) == (200, "processed")


def test_every_fault_replaces_a_step_of_a_good_response():
    for fault in Fault:
        steps = fault.entry
        assert steps.respond or steps.json or steps.encode or steps.send, fault


@pytest.mark.parametrize("fault", Fault)
def test_only_harmless_and_passing_faults_let_a_result_through(fault):
    assert behaviour_of(Scenario(faulty=1.0, faults=(fault,)), ID).has_result is (fault in HARMLESS)
    assert behaviour_of(Scenario(faulty=1.0, faults=(fault,), fault_lasts=1), ID).has_result


# --- whole responses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.REJECTED, 400),
        (Fault.GONE, 410),
        (Fault.NO_CONTENT, 204),
        (Fault.CONFLICT, 409),
        (Fault.NO_CX_AI, 404),
    ],
)
async def test_a_fault_that_is_another_status(fault, code):
    async with always(fault) as sim:
        assert (await ask(sim))[0] == code


@pytest.mark.parametrize("fault", [Fault.REDIRECT, Fault.REDIRECT_TO_HOST])
async def test_requests_that_follow_a_redirect_are_counted_and_those_with_the_token(fault):
    async with always(fault) as sim:
        code, headers, body = await ask(sim)
        assert (code, body) == (302, b"")
        assert headers["Location"].endswith(ELSEWHERE)
        assert headers["Location"].startswith("http://localhost:") is (fault != Fault.REDIRECT)
        assert (sim.stats.strays, sim.stats.strays_with_token) == (0, 0)

        async with aiohttp.ClientSession() as session:
            await session.get(sim.base_url + ELSEWHERE)
            await session.get(sim.base_url + ELSEWHERE, headers={"X-API-Token": TOKEN})

    assert (sim.stats.strays, sim.stats.strays_with_token) == (2, 1)
    assert sim.stats.by_path["elsewhere"] == 2


async def test_retry_after_comes_in_every_form():
    sent = {}
    for fault in (fault for fault in Fault if fault.startswith("retry-after")):
        async with simulate(replace(named(fault), faulty=1.0)) as sim:
            code, headers, _ = await ask(sim)
            again, _, _ = await ask(sim)
        assert (code, again) == (429, 200)
        sent[fault] = headers["Retry-After"]

    ahead = parsedate_to_datetime(sent[Fault.RETRY_AFTER_DATE]) - datetime.now(UTC)
    assert -1 < ahead.total_seconds() <= 2
    assert parsedate_to_datetime(sent[Fault.RETRY_AFTER_PAST]).year == 1994
    assert int(sent[Fault.RETRY_AFTER_SECONDS]) == 1
    assert int(sent[Fault.RETRY_AFTER_HUGE]) > 300 * 365 * 86_400
    with pytest.raises(ValueError, match="Invalid"):
        parsedate_to_datetime(sent[Fault.RETRY_AFTER_GARBAGE])


# --- bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", sorted(CHANGED_JSON))
async def test_corrupt_json_is_encoded_correctly(fault):
    async with always(fault) as sim:
        for i in interaction_ids(3):
            code, headers, body = await ask(sim, result(i))
            good = result_json(1, behaviour_of(sim.scenario, i).variant)

            assert code == 200
            whole, _ = decode(headers.get("Content-Encoding"), body)
            assert whole == CHANGED_JSON[fault](good)


def test_every_result_can_have_every_fault():
    for good in (result_json(1, variant) for variant in range(VARIANTS)):
        for fault, change in CHANGED_JSON.items():
            assert change(good) != good, fault
        for fault, encode in CHANGED_CODINGS.items():
            if not fault.startswith("bomb"):
                is_kept = fault in (Fault.UNKNOWN_ENCODING, Fault.UNDONE_ENCODING)
                assert (encode(good, 0.5)[0] == good) is is_kept, fault


def test_corrupt_json_is_what_its_name_says():
    good = result_json(1, 5)
    corrupt = {fault: change(good) for fault, change in CHANGED_JSON.items()}

    refused = {fault for fault, body in corrupt.items() if not _is_json(body)}
    assert refused == {
        Fault.EMPTY, Fault.NAN, Fault.INFINITY, Fault.OVERFLOW, Fault.LONG_INTEGER, Fault.DEEPER,
        Fault.HALF_JSON, Fault.BOM, Fault.BAD_UTF8,
    }  # fmt: skip
    assert b":NaN," in corrupt[Fault.NAN]
    assert b":-Infinity," in corrupt[Fault.INFINITY]
    assert json.loads(corrupt[Fault.BIG_INTEGER])
    assert json.loads(corrupt[Fault.DUPLICATE_KEYS]) == json.loads(good)
    assert corrupt[Fault.DUPLICATE_KEYS].count(b'"allParticipants"') == 2
    assert "\u2028" in corrupt[Fault.LINE_SEPARATORS].decode()
    assert set(json.loads(corrupt[Fault.UNKNOWN_FIELDS])) == {"newField", *json.loads(good)}
    assert b"minScoreOffset" in corrupt[Fault.MISSING_FIELDS]
    assert b'"minScore"' not in corrupt[Fault.MISSING_FIELDS]
    assert json.loads(corrupt[Fault.SCALAR]) == 42


def _is_json(body):
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


# --- content codings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "declared", "decoded"),
    [
        (Fault.LYING_ENCODING, "br", gzip.decompress),
        (Fault.UNDONE_ENCODING, "gzip", bytes),
        (Fault.DOUBLE_ENCODING, "gzip, br", lambda body: gzip.decompress(brotli.decompress(body))),
        (Fault.UNKNOWN_ENCODING, "x-simulated", bytes),
        (Fault.MULTI_MEMBER, "gzip", gzip.decompress),
        (Fault.RAW_DEFLATE, "deflate", lambda body: zlib.decompress(body, -15)),
    ],
)
async def test_a_content_coding_is_declared_wrong_or_unusual(fault, declared, decoded):
    async with always(fault) as sim:
        code, headers, body = await ask(sim)

    assert (code, headers["Content-Encoding"]) == (200, declared)
    assert decoded(body) == result_json(1, behaviour_of(sim.scenario, ID).variant)


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.5, 0.75, 0.999_999])
def test_a_flipped_bit_is_always_detected(draw):
    good = result_json(1, 5)
    body, _ = CHANGED_CODINGS[Fault.BIT_FLIP](good, draw)

    with contextlib.suppress(zlib.error, gzip.BadGzipFile, EOFError):
        assert gzip.decompress(body) == good


@pytest.mark.parametrize(
    ("fault", "sent_bytes"), [(Fault.BOMB_GZIP, 300_000), (Fault.BOMB_BR, 1_000)]
)
async def test_a_bomb_is_small_on_the_wire_and_200_mb_decoded(fault, sent_bytes):
    async with always(fault) as sim:
        _, headers, body = await ask(sim)

    assert len(body) <= sent_bytes
    if headers["Content-Encoding"] == "gzip":
        assert int.from_bytes(body[-4:], "little") > 200_000_000
        return
    stream, size = brotli.Decompressor(), 0
    while not stream.is_finished():
        size += len(stream.process(body, output_buffer_limit=1 << 20))
        body = b""
    assert size > 200_000_000


# --- the wire ---------------------------------------------------------------------------------


async def test_no_reply_closes_the_connection_without_a_byte():
    async with always(Fault.NO_REPLY) as sim:
        assert await get_raw(sim) == ("", b"", True)

    assert sim.stats.requests == 1
    assert not sim.stats.by_status


@pytest.mark.parametrize(
    ("fault", "announced"), [(Fault.LENGTH_TOO_LONG, 1_000), (Fault.LENGTH_TOO_SHORT, None)]
)
async def test_content_length_is_wrong(fault, announced):
    async with always(fault) as sim:
        head, body, ended = await get_raw(sim)

    length = int(header(head, "Content-Length")[0])
    assert ended
    assert length == (len(body) // 2 if announced is None else len(body) + announced)


async def test_chunks_are_malformed_or_never_end():
    async with always(Fault.BAD_CHUNK) as bad, always(Fault.NO_LAST_CHUNK) as cut:
        bad_head, bad_body, _ = await get_raw(bad)
        cut_head, cut_body, _ = await get_raw(cut)

    for head in (bad_head, cut_head):
        assert header(head, "Transfer-Encoding") == ["chunked"]
    assert b"many\r\n" in bad_body
    size, _, chunk = cut_body.partition(b"\r\n")
    assert chunk[-2:] == b"\r\n"
    assert int(size, 16) == len(chunk) - 2


async def test_a_flood_is_thousands_of_informational_responses():
    async with always(Fault.FLOOD) as flooding, always(Fault.EARLY_HINTS) as hinting:
        head, rest, ended = await get_raw(flooding)
        code, _, _ = await ask(hinting)

    assert head == "HTTP/1.1 102 Processing"
    assert rest.count(b"HTTP/1.1 102 Processing") == 9_999
    assert ended
    assert code == 200


async def test_the_body_of_an_error_is_huge_or_truncated():
    async with always(Fault.ERROR_BODY_HUGE) as huge, always(Fault.ERROR_BODY_CUT) as cut:
        code, headers, body = await ask(huge)
        cut_head, cut_body, _ = await get_raw(cut)

    assert (code, headers["Retry-After"]) == (429, "1")
    assert len(body) > 8 * 2**20
    assert cut_head.startswith("HTTP/1.1 429")
    assert header(cut_head, "Retry-After") == ["1"]
    assert int(header(cut_head, "Content-Length")[0]) > len(cut_body)


async def test_the_token_is_echoed_as_a_key_and_as_a_value():
    async with always(Fault.ECHO_TOKEN) as sim:
        _, headers, body = await ask(sim)

    sent = json.loads(decode(headers.get("Content-Encoding"), body)[0])
    assert sent.pop("echo") == {TOKEN: TOKEN.upper()}
    assert sent == expected_result(sim.scenario, ID)


async def test_a_status_line_is_malformed_or_a_header_huge():
    async with always(Fault.BAD_STATUS_LINE) as bad, always(Fault.HUGE_HEADER) as huge:
        assert (await get_raw(bad))[0].startswith("HTTP/one 2OO")
        assert len((await get_raw(huge))[0]) > 100_000


@pytest.mark.parametrize("fault", [Fault.DRIP_HEADERS, Fault.DRIP_BODY])
async def test_drips_come_a_byte_at_a_time(fault):
    async with always(fault) as sim:
        head, body, ended = await get_raw(sim, within_s=5 * DRIP_S)

    assert not ended
    dripped = len(body) if fault is Fault.DRIP_BODY else len(head.partition("X-Drip: ")[2])
    assert 1 <= dripped <= 6
    assert sim.stats.in_flight == 0
