"""Each scenario of the simulator is listed and does what its description says, over real HTTP."""

import asyncio
import contextlib
import gzip
import json
import re
import zlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import brotli
import orjson
import pytest
from support.command import cxai
from support.raw_server import header

from cxai.simulator import Fault, Kind, Scenario, Simulator, expected_result, fate
from cxai.simulator.bodies import VARIANTS, result_json
from cxai.simulator.fault import DESCRIPTIONS, HARMLESS
from cxai.simulator.replies import ELSEWHERE, REPLIES
from cxai.simulator.scenario import TROUBLES
from cxai.simulator.scenarios import FAULTY, SCENARIOS, listing, named
from cxai.simulator.spoilt_bodies import BODIES
from cxai.simulator.spoilt_codings import CODINGS
from cxai.simulator.wire_faults import DRIP_S, SCRIPTS

TOKEN = "a-token"  # noqa: S105 - made up
ID = "00000000-0000-4000-8000-000000000000"

BODY_FAULTS = sorted(BODIES)


def interaction_ids(count):
    return [f"{n:08x}-0000-4000-8000-000000000000" for n in range(count)]


def simulate(scenario):
    return Simulator(scenario, token=TOKEN)


def always(fault, **more):
    return simulate(Scenario(faulty=1.0, faults=(fault,), **more))


async def get(sim, interaction_id=ID, endpoint="ai", *, token=TOKEN):
    """Return status, headers and body of a well-formed answer."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(
            f"{sim.base_url}/v1/interactions/{interaction_id}/{endpoint}",
            headers={"X-API-Token": token, "Accept-Encoding": "gzip, deflate, br"},
            allow_redirects=False,
        ) as response,
    ):
        return response.status, response.headers, await response.read()


async def get_raw(sim, *, within_s=5.0):
    """Return head and body of an answer as they are sent, until the end or for so many seconds."""
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


def undo(coding, body):
    match coding:
        case "br":
            return brotli.decompress(body)
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case None:
            return body


# --- the list ---------------------------------------------------------------------------------


def test_the_list_names_every_scenario_with_its_description_aligned():
    ended = cxai("simulate", "--list")

    lines = ended.out.splitlines()
    assert (ended.code, lines) == (0, listing().splitlines())
    listed = {line.split()[0]: re.split(" {2,}", line)[1] for line in lines}
    assert listed == {name: its.description for name, its in SCENARIOS.items()}
    assert len({line.index(listed[line.split()[0]]) for line in lines}) == 1


def test_an_unknown_scenario_is_refused_with_the_names_of_all():
    ended = cxai("simulate", "--scenario", "sunshine", "--port", "0")

    assert ended.code == 2
    assert "no scenario 'sunshine'" in ended.err
    assert all(name in ended.err for name in SCENARIOS)


def test_options_that_contradict_a_scenario_are_refused():
    ended = cxai("simulate", "--scenario", "nan", "--broken", "0.9", "--port", "0")

    assert ended.code == 2
    assert "shares together are 1 at most" in ended.err


def test_every_fault_and_every_trouble_is_a_scenario():
    assert set(Fault) | set(TROUBLES) - {Kind.FAULTY} <= set(SCENARIOS)
    for fault in Fault:
        assert named(fault).faults == (fault,)
        assert named(fault).faulty == FAULTY


def test_every_fault_is_described_and_stands_in_one_table():
    assert set(DESCRIPTIONS) == set(REPLIES) == set(Fault)
    assert not set(BODIES) & set(CODINGS) | set(CODINGS) & set(SCRIPTS) | set(BODIES) & set(SCRIPTS)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_scenario_starts_and_answers_ids_without_a_trouble(name):
    scenario = replace(named(name), latency_s=0.0)
    well = next(i for i in interaction_ids(50) if fate(scenario, i).kind is Kind.OK)

    async with simulate(scenario) as sim:
        code, headers, body = await get(sim, well)

    assert code == 200
    whole = undo(headers.get("Content-Encoding"), body)
    assert json.loads(whole) == expected_result(scenario, well)


# --- faults by ID -----------------------------------------------------------------------------


def test_each_id_has_its_fault_and_all_faults_occur():
    scenario = Scenario(faulty=0.9)
    fates = [fate(scenario, i) for i in interaction_ids(3_000)]

    assert fates == [fate(scenario, i) for i in interaction_ids(3_000)]
    assert {its.fault for its in fates if its.kind is Kind.FAULTY} == set(Fault)
    assert {its.fault for its in fates if its.kind is Kind.OK} == {None}


async def test_a_fault_lasts_as_long_as_the_scenario_says():
    async with always(Fault.REJECTED, fault_lasts=2) as passing, always(Fault.REJECTED) as lasting:
        assert [(await get(passing))[0] for _ in range(4)] == [400, 400, 200, 200]
        assert [(await get(lasting))[0] for _ in range(4)] == [400] * 4

    assert passing.stats.by_fault == {"rejected": 2}
    assert passing.stats.to_dict()["by_fault"] == {"rejected": 2}


async def test_the_status_of_a_faulty_id_is_told_truthfully():
    async with always(Fault.NO_REPLY) as sim:
        code, _, body = await get(sim, endpoint="status")

    assert (code, json.loads(body)["status"]) == (200, "processed")


@pytest.mark.parametrize("fault", Fault)
def test_only_harmless_and_passing_faults_let_a_result_through(fault):
    assert fate(Scenario(faulty=1.0, faults=(fault,)), ID).has_result is (fault in HARMLESS)
    assert fate(Scenario(faulty=1.0, faults=(fault,), fault_lasts=1), ID).has_result


# --- whole answers ----------------------------------------------------------------------------


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
async def test_another_status(fault, code):
    async with always(fault) as sim:
        assert (await get(sim))[0] == code


@pytest.mark.parametrize("fault", [Fault.REDIRECT, Fault.REDIRECT_TO_HOST])
async def test_a_redirect_leads_elsewhere_and_who_follows_with_the_token_is_counted(fault):
    async with always(fault) as sim:
        code, headers, body = await get(sim)
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
            code, headers, _ = await get(sim)
            again, _, _ = await get(sim)
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


@pytest.mark.parametrize("fault", BODY_FAULTS)
async def test_a_spoilt_body_is_well_coded(fault):
    async with always(fault) as sim:
        for i in interaction_ids(10):
            code, headers, body = await get(sim, i)
            its = fate(sim.scenario, i)

            assert code == 200
            whole = undo(headers.get("Content-Encoding"), body)
            assert whole == BODIES[fault](result_json(1, its.variant))


@pytest.mark.parametrize("variant", range(VARIANTS))
def test_every_result_can_be_spoilt_in_every_way(variant):
    good = result_json(1, variant)
    for fault, spoil in BODIES.items():
        assert spoil(good) != good, fault
    for fault, spoil in CODINGS.items():
        if not fault.startswith("bomb"):
            assert spoil(good, 0.5)[0] != good or fault in ("unknown-encoding", "undone-encoding")


def test_spoilt_json_is_what_it_is_called():
    good = result_json(1, 5)
    spoilt = {fault: spoil(good) for fault, spoil in BODIES.items()}

    refused = {fault for fault, body in spoilt.items() if not _is_json(body)}
    assert refused == {
        Fault.EMPTY, Fault.NAN, Fault.INFINITY, Fault.OVERFLOW, Fault.LONG_INTEGER, Fault.DEEPER,
        Fault.HALF_JSON, Fault.BOM, Fault.BAD_UTF8,
    }  # fmt: skip
    assert b":NaN," in spoilt[Fault.NAN]
    assert b":-Infinity," in spoilt[Fault.INFINITY]
    assert json.loads(spoilt[Fault.BIG_INTEGER])
    assert json.loads(spoilt[Fault.DUPLICATE_KEYS]) == json.loads(good)
    assert spoilt[Fault.DUPLICATE_KEYS].count(b'"allParticipants"') == 2
    assert "\u2028" in spoilt[Fault.LINE_SEPARATORS].decode()
    assert set(json.loads(spoilt[Fault.UNKNOWN_FIELDS])) == {"newField", *json.loads(good)}
    assert b"minScoreOffset" in spoilt[Fault.MISSING_FIELDS]
    assert b'"minScore"' not in spoilt[Fault.MISSING_FIELDS]
    assert json.loads(spoilt[Fault.SCALAR]) == 42


def _is_json(body):
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


# --- content codings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "says", "undone"),
    [
        (Fault.LYING_ENCODING, "br", gzip.decompress),
        (Fault.UNDONE_ENCODING, "gzip", bytes),
        (Fault.DOUBLE_ENCODING, "gzip, br", lambda body: gzip.decompress(brotli.decompress(body))),
        (Fault.UNKNOWN_ENCODING, "x-simulated", bytes),
        (Fault.MULTI_MEMBER, "gzip", gzip.decompress),
        (Fault.RAW_DEFLATE, "deflate", lambda body: zlib.decompress(body, -15)),
    ],
)
async def test_a_content_coding_says_this_and_is_that(fault, says, undone):
    async with always(fault) as sim:
        code, headers, body = await get(sim)

    assert (code, headers["Content-Encoding"]) == (200, says)
    assert undone(body) == result_json(1, fate(sim.scenario, ID).variant)


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.5, 0.75, 0.999_999])
def test_no_flipped_bit_goes_unnoticed(draw):
    good = result_json(1, 5)
    body, _ = CODINGS[Fault.BIT_FLIP](good, draw)

    with contextlib.suppress(zlib.error, gzip.BadGzipFile, EOFError):
        assert gzip.decompress(body) == good


@pytest.mark.parametrize(
    ("fault", "sent_bytes"), [(Fault.BOMB_GZIP, 300_000), (Fault.BOMB_BR, 1_000)]
)
async def test_a_bomb_is_small_on_the_wire_and_200_mb_decoded(fault, sent_bytes):
    async with always(fault) as sim:
        _, headers, body = await get(sim)

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


async def test_no_reply_is_none():
    async with always(Fault.NO_REPLY) as sim:
        assert await get_raw(sim) == ("", b"", True)

    assert sim.stats.requests == 1
    assert not sim.stats.by_status


@pytest.mark.parametrize(
    ("fault", "announced"), [(Fault.LENGTH_TOO_LONG, 1_000), (Fault.LENGTH_TOO_SHORT, None)]
)
async def test_a_length_that_is_wrong(fault, announced):
    async with always(fault) as sim:
        head, body, ended = await get_raw(sim)

    length = int(header(head, "Content-Length")[0])
    assert ended
    assert length == (len(body) // 2 if announced is None else len(body) + announced)


async def test_chunks_that_are_none_or_never_end():
    async with always(Fault.BAD_CHUNK) as bad, always(Fault.NO_LAST_CHUNK) as cut:
        bad_head, bad_body, _ = await get_raw(bad)
        cut_head, cut_body, _ = await get_raw(cut)

    for head in (bad_head, cut_head):
        assert header(head, "Transfer-Encoding") == ["chunked"]
    assert b"many\r\n" in bad_body
    size, _, chunk = cut_body.partition(b"\r\n")
    assert chunk[-2:] == b"\r\n"
    assert int(size, 16) == len(chunk) - 2


async def test_a_flood_is_thousands_of_heads_that_are_no_response():
    async with always(Fault.FLOOD) as flooding, always(Fault.EARLY_HINTS) as hinting:
        head, rest, ended = await get_raw(flooding)
        code, _, _ = await get(hinting)

    assert head == "HTTP/1.1 102 Processing"
    assert rest.count(b"HTTP/1.1 102 Processing") == 9_999
    assert ended
    assert code == 200


async def test_the_body_of_an_error_may_be_huge_or_cut():
    async with always(Fault.ERROR_BODY_HUGE) as huge, always(Fault.ERROR_BODY_CUT) as cut:
        code, headers, body = await get(huge)
        cut_head, cut_body, _ = await get_raw(cut)

    assert (code, headers["Retry-After"]) == (429, "1")
    assert len(body) > 8 * 2**20
    assert cut_head.startswith("HTTP/1.1 429")
    assert header(cut_head, "Retry-After") == ["1"]
    assert int(header(cut_head, "Content-Length")[0]) > len(cut_body)


async def test_the_token_comes_back_as_a_key_and_as_a_value():
    async with always(Fault.ECHO_TOKEN) as sim:
        _, headers, body = await get(sim)

    sent = json.loads(undo(headers.get("Content-Encoding"), body))
    assert sent.pop("echo") == {TOKEN: TOKEN.upper()}
    assert sent == expected_result(sim.scenario, ID)


async def test_a_head_that_is_no_head():
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


# --- the whole API ----------------------------------------------------------------------------


@pytest.mark.parametrize("age_s", [0, 19.9, 50, 69.9, 100])
def test_between_outages_it_is_up(age_s):
    assert not named("outage").is_down(age_s)


@pytest.mark.parametrize("age_s", [20, 49.9, 70, 99.9])
def test_an_outage_comes_again_and_again(age_s):
    assert named("outage").is_down(age_s)
    assert not Scenario().is_down(age_s)


async def test_an_outage_fails_everyone_then_it_is_back():
    scenario = replace(named("outage"), outage_every_s=0.2, outage_s=0.3)
    async with simulate(scenario) as sim:
        seen = []
        async with asyncio.timeout(5):
            while seen[-2:] != [503, 200]:
                seen.append((await get(sim, endpoint="status"))[0])

    assert seen[0] == 200
    assert set(seen) == {200, 503}


async def test_an_outage_may_drop_connections_instead():
    scenario = replace(named("outage-drops"), outage_every_s=0.001, outage_s=60.0)
    async with simulate(scenario) as sim:
        await asyncio.sleep(0.002)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await get(sim)


async def test_the_token_changes_after_so_many_requests():
    async with simulate(replace(named("token-changes"), token_after=3)) as sim:
        assert (await get(sim, token=sim.next_token))[0] == 401
        assert [(await get(sim))[0] for _ in range(5)] == [200, 200, 200, 401, 401]
        assert (await get(sim, token=sim.next_token))[0] == 200


async def test_the_limits_are_those_of_the_description():
    rate, in_flight = named("rate-limit"), replace(named("in-flight-limit"), latency_s=0.1)
    async with simulate(rate) as paced, simulate(in_flight) as narrow:
        codes = await asyncio.gather(*(get(paced, i) for i in interaction_ids(8)))
        narrow_codes = await asyncio.gather(*(get(narrow, i) for i in interaction_ids(8)))

    assert Counter(code for code, _, _ in codes) == {200: 5, 429: 3}
    assert Counter(code for code, _, _ in narrow_codes) == {200: 3, 429: 5}


def test_a_storm_has_a_little_of_everything():
    fates = [fate(named("storm"), i) for i in interaction_ids(20_000)]

    kinds = Counter(its.kind for its in fates)
    assert set(kinds) == set(Kind)
    assert kinds[Kind.OK] > 14_000
    assert {its.fault for its in fates} == {None, *Fault} - {Fault.RETRY_AFTER_HUGE}
