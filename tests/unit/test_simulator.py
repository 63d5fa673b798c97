import asyncio
import json
import math
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import aiohttp
import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.simulator import Fault, Kind, Scenario, Simulator, expected_result, fate
from cxai.simulator.bodies import VARIANTS, result_json
from cxai.simulator.coding import choose, cut_short, encoded_result
from cxai.simulator.states import WAYS
from cxai.simulator.traffic import Rate

TOKEN = "a-token"  # noqa: S105 - made up
ALL_CODINGS = "gzip, deflate, br"
LAST = math.nextafter(1.0, 0.0)

MIXED = Scenario(
    seed=7,
    missing=0.1,
    processing=0.1,
    failed=0.1,
    throttled=0.1,
    erring=0.1,
    corrupt=0.1,
    broken=0.1,
    garbled=0.1,
)


def interaction_ids(count):
    return [f"{n:08x}-0000-4000-8000-000000000000" for n in range(count)]


ID = interaction_ids(1)[0]


@pytest.fixture
async def ask():
    """Sends one request with the right token; returns status, headers and the body as sent."""
    async with aiohttp.ClientSession(
        auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def ask(sim, path, *, accept=ALL_CODINGS, token=TOKEN, method="GET"):
            headers = {"Accept-Encoding": accept} | ({"X-API-Token": token} if token else {})
            async with session.request(method, sim.base_url + path, headers=headers) as response:
                return response.status, response.headers, await response.read()

        yield ask


def result(interaction_id):
    return f"/v1/interactions/{interaction_id}/ai"


def status(interaction_id):
    return f"/v1/interactions/{interaction_id}/status"


def simulate(scenario=MIXED, **where):
    return Simulator(scenario, token=TOKEN, **where)


def has_address(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


async def until(happens):
    async with asyncio.timeout(5):
        while not happens():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0)


def decode(coding, body):
    """Return the decoded bytes and whether the decoder saw the end."""
    if coding == "br":
        decoder = brotli.Decompressor()
        return decoder.process(body), decoder.is_finished()
    if coding in ("gzip", "deflate"):
        decoder = zlib.decompressobj(31 if coding == "gzip" else 15)
        return decoder.decompress(body), decoder.eof
    return body, body.endswith(b"}")


# --- what awaits an ID ------------------------------------------------------------------------


FINGERPRINT = """
import json, sys
from hashlib import blake2b
from cxai.simulator import Scenario, fate
from cxai.simulator.bodies import VARIANTS, result_json
scenario = Scenario(**json.loads(sys.argv[1]))
fates = [repr(fate(scenario, line.strip())) for line in sys.stdin]
bodies = [result_json(scenario.seed, variant) for variant in range(VARIANTS)]
print(blake2b(repr((fates, bodies)).encode()).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_gives_every_id_the_same_fate_and_body(hash_seed):
    ids = interaction_ids(200)
    shares = {kind: MIXED.share(kind) for kind in Kind if kind is not Kind.OK}

    elsewhere = subprocess.run(
        [sys.executable, "-c", FINGERPRINT, json.dumps({"seed": MIXED.seed} | shares)],
        input="\n".join(ids),
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    here = repr(
        (
            [repr(fate(MIXED, i)) for i in ids],
            [result_json(MIXED.seed, variant) for variant in range(VARIANTS)],
        )
    )
    assert elsewhere.stdout.strip() == blake2b(here.encode()).hexdigest()


async def test_order_of_requests_changes_nothing(ask):
    ids = interaction_ids(60)

    async def replies(order):
        async with simulate() as sim:
            return {i: [await ask(sim, result(i)) for _ in range(3)] for i in order}

    def seen(replies):
        return {
            i: [(code, headers.get("Content-Encoding"), body) for code, headers, body in three]
            for i, three in replies.items()
        }

    assert seen(await replies(ids)) == seen(await replies(reversed(ids)))


def test_another_seed_gives_other_fates_and_other_bodies():
    ids = interaction_ids(100)
    other = Scenario(seed=8, missing=0.5)
    scenario = Scenario(seed=7, missing=0.5)

    assert [fate(scenario, i).kind for i in ids] != [fate(other, i).kind for i in ids]
    assert result_json(7, 0) != result_json(8, 0)


def test_each_trouble_gets_its_share_of_the_ids():
    scenario = Scenario(missing=0.3, erring=0.2, garbled=0.05)

    kinds = Counter(fate(scenario, i).kind for i in interaction_ids(10_000))

    assert set(kinds) == {Kind.OK, Kind.MISSING, Kind.ERRING, Kind.GARBLED}
    assert kinds[Kind.MISSING] == pytest.approx(3_000, rel=0.1)
    assert kinds[Kind.ERRING] == pytest.approx(2_000, rel=0.1)
    assert kinds[Kind.GARBLED] == pytest.approx(500, rel=0.2)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.OK])
def test_a_share_of_1_is_every_id(kind):
    scenario = Scenario(**{kind: 1.0})

    assert {fate(scenario, i).kind for i in interaction_ids(500)} == {kind}


def test_results_are_in_the_shape_and_sizes_of_the_api():
    bodies = [result_json(1, variant) for variant in range(VARIANTS)]

    sizes = sorted(map(len, bodies))
    assert 1_500 < sizes[0] < 2_500
    assert 15_000 < sizes[VARIANTS // 2] < 25_000
    assert 50_000 < sizes[-1] < 65_000
    participants = [p for body in bodies for p in json.loads(body).values()]
    assert {len(json.loads(body)) for body in bodies} == {3}
    assert {tuple(p) for p in participants} == {("enlightenBundles", "voiceActivitySegments")}
    assert {bundle["name"] for p in participants for bundle in p["enlightenBundles"]} == {
        "Customer Satisfaction",
        "Vulnerable Customer",
        "Sales Effectiveness",
    }
    assert any(p["voiceActivitySegments"] is None for p in participants)
    assert any(p["voiceActivitySegments"] for p in participants)
    assert any(p["enlightenBundles"] == [] for p in participants)


def numbers_of(bodies, *names):
    for body in bodies:
        for part in json.loads(body).values():
            for bundle in part["enlightenBundles"]:
                for model in bundle["models"]:
                    yield from (model[name] for name in names)


def test_scores_are_32_bit_floats_written_shortest_and_as_large_as_the_published_ones():
    bodies = [result_json(1, variant) for variant in range(VARIANTS)]
    quartiles = (f"quartile{n}" for n in range(1, 5))
    scores = set(numbers_of(bodies, "score", "minScore", "maxScore", *quartiles))
    as_singles = {struct.unpack("<f", struct.pack("<f", score))[0] for score in scores}
    assert len(as_singles) == len(scores)
    assert max(len(repr(abs(score)).replace(".", "").strip("0")) for score in scores) <= 9
    assert min(map(abs, scores)) == pytest.approx(0.39, abs=0.01)
    assert max(map(abs, scores)) == pytest.approx(6.55, abs=0.01)
    assert {score > 0 for score in scores} == {True, False}


def test_both_participants_and_all_together_have_segments():
    parts = json.loads(result_json(1, 5))
    assert all(part["voiceActivitySegments"] for part in parts.values())


def test_models_have_the_names_that_the_vendor_uses():
    bodies = [result_json(1, variant) for variant in range(VARIANTS)]
    names = {}
    for body in bodies:
        for bundle in json.loads(body)["allParticipants"]["enlightenBundles"]:
            names.setdefault(bundle["name"], set()).update(m["name"] for m in bundle["models"])
    assert len(names["Customer Satisfaction"]) == 12
    assert {"Sentiment", "SpeechVelocity"} < names["Customer Satisfaction"]
    assert len(names["Sales Effectiveness"]) == 9


def test_ids_are_spread_over_bodies_that_all_differ():
    assert len({result_json(1, variant) for variant in range(VARIANTS)}) == VARIANTS
    assert {fate(Scenario(), i).variant for i in interaction_ids(1_000)} == set(range(VARIANTS))


@pytest.mark.parametrize("kind", ["missing", "abandoned", "failed", "broken", "garbled"])
def test_no_result_is_expected_of_an_id_that_never_has_one(kind):
    scenario = Scenario(**{kind: 1.0})

    assert not fate(scenario, ID).has_result
    with pytest.raises(ValueError, match=kind):
        expected_result(scenario, ID)


# --- each fate, over HTTP ---------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["br", "gzip", "deflate", "identity"])
async def test_every_coding_holds_the_expected_result(ask, coding):
    async with simulate(Scenario()) as sim:
        for i in interaction_ids(20):
            code, headers, body = await ask(sim, result(i), accept=coding)

            assert code == 200
            assert headers["Content-Type"] == "application/json; charset=utf-8"
            assert headers.get("Content-Encoding", "identity") == coding
            decoded, complete = decode(coding, body)
            assert complete
            assert json.loads(decoded) == expected_result(sim.scenario, i)


async def test_an_id_without_trouble_is_processed_and_costs_no_memory(ask):
    async with simulate(Scenario()) as sim:
        assert (await ask(sim, result(ID)))[0] == 200
        _, _, body = await ask(sim, status(ID))

        assert sim._troubled == {}
    said = json.loads(body)
    assert list(said) == [
        "identifier",
        "status",
        "declared",
        "uploaded",
        "downloaded",
        "processed",
        "errorMessage",
    ]
    assert said["identifier"] == ID
    assert said["status"] == "processed"
    (arrived,) = {said["uploaded"], said["downloaded"]} - {None}
    assert said["declared"] < arrived < said["processed"]
    assert said["processed"].endswith("Z")
    assert said["errorMessage"] is None


async def test_missing_has_neither_result_nor_status(ask):
    async with simulate(Scenario(missing=1.0)) as sim:
        for path in (result(ID), result(ID), status(ID)):
            code, _, body = await ask(sim, path)

            assert (code, body) == (404, b"")


async def test_processing_has_a_result_once_its_status_was_asked_often_enough(ask):
    async with simulate(Scenario(processing=1.0, processing_looks=2)) as sim:
        seen = []
        for _ in range(3):
            code = (await ask(sim, result(ID)))[0]
            said = json.loads((await ask(sim, status(ID)))[2])
            seen.append((code, said["status"], said["processed"] is None))
        _, headers, body = await ask(sim, result(ID))

    assert seen == [
        (404, "pendingProcessing", True),
        (404, "processing", True),
        (200, "processed", False),
    ]
    decoded, _ = decode(headers["Content-Encoding"], body)
    assert json.loads(decoded) == expected_result(sim.scenario, ID)


async def test_processing_does_not_end_by_asking_for_the_result_alone(ask):
    async with simulate(Scenario(processing=1.0, processing_looks=1)) as sim:
        assert [(await ask(sim, result(ID)))[0] for _ in range(4)] == [404] * 4


async def statuses(ask, sim, ids, looks=1):
    return [json.loads((await ask(sim, status(i)))[2]) for i in ids for _ in range(looks)]


async def test_processing_goes_through_the_states_of_either_way_of_a_file(ask):
    async with simulate(Scenario(processing=1.0, processing_looks=6)) as sim:
        seen = await statuses(ask, sim, interaction_ids(12), looks=7)

    ways = {tuple(said["status"] for said in seen[n : n + 7]) for n in range(0, len(seen), 7)}
    assert ways == {(*way, "processed") for way in WAYS.values()}
    age_s = {datetime.now(UTC) - datetime.fromisoformat(said["declared"]) for said in seen[:6]}
    assert max(age_s) < timedelta(hours=1)


async def test_a_file_comes_by_one_way_and_its_time_is_known_once_it_is_there(ask):
    async with simulate(Scenario(processing=1.0, processing_looks=6)) as sim:
        seen = await statuses(ask, sim, interaction_ids(12), looks=7)

    for said in seen:
        times = [said["uploaded"], said["downloaded"]]
        has_file = said["status"] in (
            "fileUploaded", "fileDownloaded", "pendingProcessing", "processing", "processed",
        )  # fmt: skip
        assert times.count(None) == (1 if has_file else 2)


async def test_failed_says_in_its_status_what_failed(ask):
    async with simulate(Scenario(failed=1.0)) as sim:
        assert (await ask(sim, result(ID)))[0] == 404
        seen = await statuses(ask, sim, interaction_ids(60))

    states = {"processingFailed", "fileUploadFailed", "fileDownloadFailed"}
    assert {said["status"] for said in seen} == states
    assert all(said["errorMessage"] for said in seen)


async def test_abandoned_waits_for_its_file_since_days(ask):
    async with simulate(Scenario(abandoned=1.0)) as sim:
        assert (await ask(sim, result(ID)))[0] == 404
        seen = await statuses(ask, sim, interaction_ids(60))

    assert {said["status"] for said in seen} == {
        "declared", "filePendingUpload", "filePendingDownload",
    }  # fmt: skip
    ages = {datetime.now(UTC) - datetime.fromisoformat(said["declared"]) for said in seen}
    assert min(ages) > timedelta(days=2)


async def test_the_parameters_of_a_declaration_say_whether_cx_ai_was_asked_for(ask):
    without = Scenario(faulty=1.0, faults=(Fault.NO_CX_AI,))
    for scenario, includes in [(Scenario(), True), (without, False)]:
        async with simulate(scenario) as sim:
            code, _, body = await ask(sim, f"/v1/interactions/{ID}")
        said = json.loads(body)
        assert (code, said["identifier"], said["includeAiResults"]) == (200, ID, includes)
    async with simulate(Scenario(missing=1.0)) as sim:
        assert (await ask(sim, f"/v1/interactions/{ID}"))[0] == 404


async def test_throttled_is_refused_once_per_id(ask):
    async with simulate(Scenario(throttled=1.0)) as sim:
        for i in interaction_ids(3):
            refused, headers, _ = await ask(sim, result(i))
            granted, _, _ = await ask(sim, result(i))

            assert (refused, headers["Retry-After"], granted) == (429, "1", 200)


async def test_erring_fails_once_or_twice_then_succeeds(ask):
    async with simulate(Scenario(erring=1.0)) as sim:
        ids = interaction_ids(40)
        seen = {i: [(await ask(sim, result(i)))[0] for _ in range(4)] for i in ids}

    failures = {i: tuple(code for code in codes if code != 200) for i, codes in seen.items()}
    assert failures == {i: fate(sim.scenario, i).refusals for i in ids}
    assert all(
        codes[len(failures[i]) :] == [200] * (4 - len(failures[i])) for i, codes in seen.items()
    )
    assert {len(codes) for codes in failures.values()} == {1, 2}
    assert {code for codes in failures.values() for code in codes} == {500, 502, 503, 504}


async def test_slow_takes_longer_and_holds_up_nobody_else(ask):
    scenario = Scenario(slow=0.5, slow_s=0.2)
    slow, quick = (
        next(i for i in interaction_ids(50) if fate(scenario, i).kind is kind)
        for kind in (Kind.SLOW, Kind.OK)
    )
    loop = asyncio.get_running_loop()

    async def timed(sim, interaction_id):
        begun = loop.time()
        assert (await ask(sim, result(interaction_id)))[0] == 200
        return loop.time() - begun

    async with simulate(scenario) as sim:
        slow_s, quick_s = await asyncio.gather(timed(sim, slow), timed(sim, quick))

    assert slow_s >= 0.2
    assert quick_s < slow_s


@pytest.mark.parametrize("kind", ["ok", "missing", "erring", "broken", "garbled"])
async def test_latency_delays_every_answer(ask, kind):
    loop = asyncio.get_running_loop()
    shares = {} if kind == "ok" else {kind: 1.0}

    async with simulate(Scenario(latency_s=0.05, **shares)) as sim:
        for path in (result(ID), status(ID)):
            begun = loop.time()
            await ask(sim, path)
            assert loop.time() - begun >= 0.05


async def test_latency_delays_no_refusal(ask):
    async with asyncio.timeout(5), simulate(Scenario(latency_s=60, throttled=1.0)) as sim:
        assert (await ask(sim, result(ID), token="wrong"))[0] == 401  # noqa: S106 - made up
        assert (await ask(sim, result(ID)))[0] == 429


@pytest.mark.parametrize("coding", ["br", "gzip", "deflate", "identity"])
async def test_corrupt_ends_too_early_once_then_comes_whole(ask, coding):
    async with simulate(Scenario(corrupt=1.0)) as sim:
        for i in interaction_ids(20):
            code, headers, cut = await ask(sim, result(i), accept=coding)
            _, _, whole = await ask(sim, result(i), accept=coding)

            assert code == 200
            assert int(headers["Content-Length"]) == len(cut) < len(whole)
            assert whole.startswith(cut)
            if coding != "identity":
                assert not decode(coding, cut)[1]
            decoded, complete = decode(coding, whole)
            assert complete
            assert json.loads(decoded) == expected_result(sim.scenario, i)


@pytest.mark.parametrize("coding", ["br", "gzip", "deflate"])
@pytest.mark.parametrize("draw", [0.0, 0.5, LAST])
def test_no_cut_body_is_complete(coding, draw):
    for variant in range(VARIANTS):
        whole = encoded_result(1, variant, coding)

        assert decode(coding, whole)[1]
        assert not decode(coding, cut_short(whole, draw))[1]


async def test_broken_and_garbled_never_succeed(ask):
    async with simulate(Scenario(broken=1.0)) as broken, simulate(Scenario(garbled=1.0)) as garbled:
        for _ in range(5):
            assert (await ask(broken, result(ID)))[0] == 500
            code, headers, body = await ask(garbled, result(ID))
            assert code == 200
            assert headers["Content-Type"].startswith("text/html")
            assert body.startswith(b"<!DOCTYPE html>")


async def test_trouble_with_results_leaves_the_status_alone(ask):
    scenario = Scenario(throttled=0.2, erring=0.2, corrupt=0.2, broken=0.2, garbled=0.2)
    async with simulate(scenario) as sim:
        for i in interaction_ids(30):
            code, _, body = await ask(sim, status(i))
            assert (code, json.loads(body)["status"]) == (200, "processed")


async def test_asking_for_the_status_uses_no_trouble_up(ask):
    async with simulate(Scenario(throttled=1.0)) as sim:
        codes = [(await ask(sim, path))[0] for path in (status(ID), result(ID), result(ID))]

    assert codes == [200, 429, 200]


# --- who may ask, and how much ----------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x"])
async def test_a_request_without_the_token_is_refused(ask, token):
    async with simulate(Scenario()) as sim:
        for path in (result(ID), status(ID)):
            code, headers, body = await ask(sim, path, token=token)

            assert code == 401
            assert headers["Content-Type"].startswith("application/json")
            assert list(json.loads(body)) == ["errorMessage"]
            assert TOKEN not in body.decode()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", f"/v1/interactions/{ID}/"),
        ("GET", f"/v1/interactions/{ID}/ai/"),
        ("GET", f"/v1/interactions/{ID}/transcript"),
        ("GET", "/v1/interactions/a%2Fb/ai"),
        ("GET", f"/v2/interactions/{ID}/ai"),
        ("POST", result(ID)),
        ("POST", "/simulator/stats"),
    ],
)
async def test_anything_else_is_not_found(ask, method, path):
    async with simulate(Scenario()) as sim:
        code, _, body = await ask(sim, path, method=method)

        assert (code, body) == (404, b"")
        assert sim.stats.by_path == {"other": 1}


async def test_requests_beyond_the_rate_get_429(ask):
    async with simulate(Scenario(rate=5)) as sim:
        replies = await asyncio.gather(*(ask(sim, result(i)) for i in interaction_ids(8)))

    assert Counter(code for code, _, _ in replies) == {200: 5, 429: 3}
    assert {headers.get("Retry-After") for code, headers, _ in replies if code == 429} == {"1"}


async def test_status_requests_count_against_the_rate(ask):
    async with simulate(Scenario(rate=1)) as sim:
        codes = [(await ask(sim, path))[0] for path in (status(ID), result(ID))]

    assert codes == [200, 429]


@pytest.mark.parametrize(
    ("rate", "allowed", "within_s"), [(0.5, 1, 2.0), (2.5, 2, 0.8), (10, 10, 1)]
)
def test_the_rate_counts_in_a_sliding_window(rate, allowed, within_s):
    limit = Rate(rate)

    assert [limit.admits(100.0) for _ in range(allowed + 1)] == [True] * allowed + [False]
    assert not limit.admits(100.0 + within_s * 0.99)
    assert limit.admits(100.0 + within_s * 1.01)


@given(st.lists(st.floats(0.0, 0.4), max_size=60), st.integers(1, 8))
def test_no_sliding_second_has_more_than_the_rate(gaps, rate):
    limit, now, admitted = Rate(rate), 0.0, []
    for gap in gaps:
        now += gap
        if limit.admits(now):
            admitted.append(now)

    for n, begun in enumerate(admitted):
        assert sum(at < begun + 0.999 for at in admitted[n:]) <= rate


async def test_requests_beyond_those_in_flight_get_429(ask):
    async with simulate(Scenario(in_flight=2, latency_s=0.2)) as sim:
        replies = await asyncio.gather(*(ask(sim, result(i)) for i in interaction_ids(5)))
        again, _, _ = await ask(sim, result(ID))

    assert Counter(code for code, _, _ in replies) == {200: 2, 429: 3}
    assert {headers.get("Retry-After") for code, headers, _ in replies if code == 429} == {None}
    assert again == 200


# --- content coding ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        ("", {"identity"}),
        ("identity", {"identity"}),
        ("zstd, x-unknown", {"identity"}),
        ("br", {"br"}),
        ("GZIP", {"gzip"}),
        ("gzip, deflate, br", {"br", "gzip", "deflate"}),
        ("gzip;q=0.5, br;q=0", {"gzip"}),
        ("gzip; q=0.000, deflate; q=0.001", {"deflate"}),
        ("*", {"br", "gzip", "deflate"}),
        ("*, br;q=0", {"gzip", "deflate"}),
        ("gzip, *;q=0", {"gzip"}),
    ],
)
def test_only_accepted_codings_are_chosen(header, codings):
    draws = [n / 100 for n in range(100)] + [LAST]

    assert {choose(header, draw) for draw in draws} == codings


def test_most_bodies_are_br_some_gzip_a_few_deflate():
    scenario = Scenario()

    chosen = Counter(
        choose(ALL_CODINGS, fate(scenario, i).coding_draw) for i in interaction_ids(5_000)
    )

    assert chosen["br"] == pytest.approx(3_500, rel=0.1)
    assert chosen["gzip"] == pytest.approx(1_250, rel=0.1)
    assert chosen["deflate"] == pytest.approx(250, rel=0.3)


# --- stats ------------------------------------------------------------------------------------


async def test_stats_tell_what_came_in_and_went_out_and_need_no_token(ask):
    scenario = Scenario(latency_s=0.05, missing=0.4, faulty=0.4, faults=(Fault.NO_CONTENT,))
    ids = interaction_ids(12)
    async with simulate(scenario) as sim:
        replies = await asyncio.gather(*(ask(sim, result(i)) for i in ids))
        replies += [await ask(sim, status(ids[0])), await ask(sim, result(ID), token="wrong")]  # noqa: S106 - made up
        replies += [await ask(sim, "/nowhere")]

        code, _, body = await ask(sim, "/simulator/stats", token=None)

    assert code == 200
    stats = json.loads(body)
    assert stats == sim.stats.to_dict()
    assert stats["requests"] == len(replies) == 15
    assert stats["by_path"] == {"ai": 13, "status": 1, "other": 1}
    assert stats["by_status"] == Counter(str(code) for code, _, _ in replies)
    by_coding = Counter(headers.get("Content-Encoding", "identity") for _, headers, _ in replies)
    assert stats["by_coding"] == by_coding
    assert stats["bytes_sent"] == sum(len(body) for _, _, body in replies)
    assert sum(stats["bytes_by_coding"].values()) == stats["bytes_sent"]
    assert stats["max_in_flight"] == 12
    assert 12 <= stats["max_per_second"] <= 15
    assert stats["in_flight"] == 0


async def test_a_client_that_leaves_is_no_longer_in_flight(ask):
    async with simulate(Scenario(latency_s=60)) as sim:
        request = asyncio.create_task(ask(sim, result(ID)))
        await until(lambda: sim.stats.in_flight == 1)
        request.cancel()
        await until(lambda: sim.stats.in_flight == 0)

    assert sim.stats.requests == 1
    assert not sim.stats.by_status


# --- start and stop ---------------------------------------------------------------------------


async def test_leaving_waits_for_no_slow_response(ask):
    async with simulate(Scenario(slow=1.0, slow_s=60)) as sim:
        requests = [asyncio.create_task(ask(sim, result(i))) for i in interaction_ids(3)]
        await until(lambda: sim.stats.in_flight == 3)
        begun = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() - begun < 0.5
    assert sim.stats.in_flight == 0
    ended = await asyncio.gather(*requests, return_exceptions=True)
    assert [isinstance(end, aiohttp.ClientConnectionError) for end in ended] == [True] * 3


async def test_leaving_drops_what_a_client_does_not_read():
    request = f"GET {result(ID)} HTTP/1.1\r\nHost: x\r\nX-API-Token: {TOKEN}\r\n\r\n".encode()
    async with simulate(Scenario()) as sim:
        host, port = sim.base_url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1)
        writer.write(request * 2_000)
        await until(lambda: sim._http.connections)
        transport = sim._http.connections[0].transport
        await until(transport.get_write_buffer_size)

    assert transport.get_write_buffer_size() == 0
    writer.transport.abort()


async def test_nothing_answers_after_leaving_until_it_is_entered_again(ask):
    async with simulate(Scenario(throttled=1.0)) as first:
        assert (await ask(first, result(ID)))[0] == 429
        port = int(first.base_url.rpartition(":")[2])
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(first, result(ID))

    again = simulate(Scenario(throttled=1.0), port=port)
    for expected in (429, 200):
        async with again:
            assert again.base_url == first.base_url
            assert (await ask(again, result(ID)))[0] == expected


async def test_a_taken_port_is_an_os_error():
    async with simulate() as sim:
        port = int(sim.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await simulate(port=port).__aenter__()


@pytest.mark.parametrize(
    ("host", "begins"),
    [("127.0.0.1", "http://127.0.0.1:"), ("127.1.2.3", "http://127.1.2.3:"),
     ("localhost", "http://127.0.0.1:"), ("::1", "http://[::1]:")],
)  # fmt: skip
async def test_serves_on_loopback_addresses(ask, host, begins):
    if not has_address(host):
        pytest.skip(f"this machine has no {host}")
    async with simulate(Scenario(), host=host) as sim:
        assert sim.base_url.startswith(begins)
        assert (await ask(sim, result(ID)))[0] == 200


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "", "::", "192.168.1.5", "128.0.0.1", "::ffff:127.0.0.1", "example.com", "127.1"],  # noqa: S104 - refused
)
def test_refuses_to_serve_other_machines(host):
    with pytest.raises(ValueError, match=r"^host is .* this machine only"):
        simulate(host=host)


def test_base_url_is_not_known_before_entering():
    with pytest.raises(RuntimeError, match="enter it first"):
        _ = simulate().base_url


# --- what can't be simulated ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate": 0}, "rate is 0, but has to be above 0"),
        ({"rate": -1.0}, "rate is -1.0, but has to be above 0"),
        ({"rate": math.nan}, "rate is nan, but has to be above 0"),
        ({"rate": math.inf}, "rate is inf, but has to be above 0"),
        ({"in_flight": 0}, "in_flight is 0, but has to be 1 or more"),
        ({"processing_looks": 0}, "processing_looks is 0, but has to be 1 or more"),
        ({"latency_s": -0.1}, "latency_s is -0.1, but has to be 0 seconds or more"),
        ({"slow_s": math.inf}, "slow_s is inf, but has to be 0 seconds or more"),
        ({"outage_s": -1.0}, "outage_s is -1.0, but has to be 0 seconds or more"),
        ({"outage_every_s": 0.0}, "outage_every_s is 0.0, but has to be above 0 seconds"),
        ({"token_after": 0}, "token_after is 0, but has to be 1 or more"),
        ({"fault_lasts": 0}, "fault_lasts is 0, but has to be 1 or more"),
        ({"faults": ()}, "faults are none, but have to be one or more"),
        ({"faulty": -0.5}, "faulty is -0.5, but a share is from 0 to 1"),
        ({"missing": 1.5}, "missing is 1.5, but a share is from 0 to 1"),
        ({"garbled": -0.1}, "garbled is -0.1, but a share is from 0 to 1"),
        ({"corrupt": math.nan}, "corrupt is nan, but a share is from 0 to 1"),
        (
            {"slow": 0.6, "broken": 0.41},
            r"slow \+ broken is 1.01, but shares together are 1 at most",
        ),
    ],
)
def test_a_scenario_out_of_range_names_the_field_and_the_range(fields, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Scenario(**fields)


def test_shares_that_make_up_1_exactly_are_allowed():
    kinds = [kind for kind in Kind if kind is not Kind.OK]

    Scenario(**dict.fromkeys(kinds, 1 / len(kinds)))
    Scenario(**dict.fromkeys(kinds[:7], 0.1), broken=0.1, garbled=0.2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"token": ""}, "^token is empty"), ({"token": "t", "port": 65_536}, "^port is 65536")],
)
def test_a_simulator_that_cannot_serve_says_why(wrong, message):
    with pytest.raises(ValueError, match=message):
        Simulator(Scenario(), **wrong)
