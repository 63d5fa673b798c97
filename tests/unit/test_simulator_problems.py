"""Each problem that an ID can have, over HTTP."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from support.simulator import ID, ask, decode, interaction_ids, result, simulate, status

from cxai.simulator import Kind, Scenario, behaviour_of, expected_result
from cxai.simulator.interactions import STATES


@pytest.mark.parametrize("coding", ["br", "gzip", "deflate", "identity"])
async def test_every_coding_holds_the_expected_result(coding):
    async with simulate(Scenario()) as sim:
        for i in interaction_ids(20):
            code, headers, body = await ask(sim, result(i), accept=coding)

            assert code == 200
            assert headers["Content-Type"] == "application/json; charset=utf-8"
            assert headers.get("Content-Encoding", "identity") == coding
            decoded, complete = decode(coding, body)
            assert complete
            assert json.loads(decoded) == expected_result(sim.scenario, i)


async def test_an_id_without_a_problem_is_processed_and_costs_no_memory():
    async with simulate(Scenario()) as sim:
        assert (await ask(sim, result(ID)))[0] == 200
        _, _, body = await ask(sim, status(ID))

        assert sim._affected == {}
    reply = json.loads(body)
    assert list(reply) == [
        "identifier",
        "status",
        "declared",
        "uploaded",
        "downloaded",
        "processed",
        "errorMessage",
    ]
    assert reply["identifier"] == ID
    assert reply["status"] == "processed"
    (arrived,) = {reply["uploaded"], reply["downloaded"]} - {None}
    assert reply["declared"] < arrived < reply["processed"]
    assert reply["processed"].endswith("Z")
    assert reply["errorMessage"] is None


async def test_missing_has_neither_result_nor_status():
    async with simulate(Scenario(missing=1.0)) as sim:
        for path in (result(ID), result(ID), status(ID)):
            code, _, body = await ask(sim, path)

            assert (code, body) == (404, b"")


async def test_processing_has_a_result_after_enough_requests_for_its_status():
    async with simulate(Scenario(processing=1.0, processing_looks=2)) as sim:
        seen = []
        for _ in range(3):
            code = (await ask(sim, result(ID)))[0]
            reply = json.loads((await ask(sim, status(ID)))[2])
            seen.append((code, reply["status"], reply["processed"] is None))
        _, headers, body = await ask(sim, result(ID))

    assert seen == [
        (404, "pendingProcessing", True),
        (404, "processing", True),
        (200, "processed", False),
    ]
    decoded, _ = decode(headers["Content-Encoding"], body)
    assert json.loads(decoded) == expected_result(sim.scenario, ID)


async def test_processing_lasts_if_only_the_result_is_requested():
    async with simulate(Scenario(processing=1.0, processing_looks=1)) as sim:
        assert [(await ask(sim, result(ID)))[0] for _ in range(4)] == [404] * 4


async def statuses(sim, ids, looks=1):
    return [json.loads((await ask(sim, status(i)))[2]) for i in ids for _ in range(looks)]


async def test_processing_goes_through_the_states_of_an_upload_or_a_download():
    async with simulate(Scenario(processing=1.0, processing_looks=6)) as sim:
        seen = await statuses(sim, interaction_ids(12), looks=7)

    ways = {tuple(reply["status"] for reply in seen[n : n + 7]) for n in range(0, len(seen), 7)}
    assert ways == {(*way, "processed") for way in STATES.values()}
    age_s = {datetime.now(UTC) - datetime.fromisoformat(reply["declared"]) for reply in seen[:6]}
    assert max(age_s) < timedelta(hours=1)


async def test_a_file_is_uploaded_or_downloaded_and_has_a_time_once_it_arrived():
    async with simulate(Scenario(processing=1.0, processing_looks=6)) as sim:
        seen = await statuses(sim, interaction_ids(12), looks=7)

    for reply in seen:
        times = [reply["uploaded"], reply["downloaded"]]
        has_file = reply["status"] in (
            "fileUploaded", "fileDownloaded", "pendingProcessing", "processing", "processed",
        )  # fmt: skip
        assert times.count(None) == (1 if has_file else 2)


async def test_the_status_of_failed_gives_the_error():
    async with simulate(Scenario(failed=1.0)) as sim:
        assert (await ask(sim, result(ID)))[0] == 404
        seen = await statuses(sim, interaction_ids(60))

    states = {"processingFailed", "fileUploadFailed", "fileDownloadFailed"}
    assert {reply["status"] for reply in seen} == states
    assert all(reply["errorMessage"] for reply in seen)


async def test_abandoned_has_waited_for_its_file_for_days():
    async with simulate(Scenario(abandoned=1.0)) as sim:
        assert (await ask(sim, result(ID)))[0] == 404
        seen = await statuses(sim, interaction_ids(60))

    assert {reply["status"] for reply in seen} == {
        "declared", "filePendingUpload", "filePendingDownload",
    }  # fmt: skip
    ages = {datetime.now(UTC) - datetime.fromisoformat(reply["declared"]) for reply in seen}
    assert min(ages) > timedelta(days=2)


async def test_throttled_is_refused_once_per_id():
    async with simulate(Scenario(throttled=1.0)) as sim:
        for i in interaction_ids(3):
            refused, headers, _ = await ask(sim, result(i))
            granted, _, _ = await ask(sim, result(i))

            assert (refused, headers["Retry-After"], granted) == (429, "1", 200)


async def test_erring_fails_once_or_twice_then_succeeds():
    async with simulate(Scenario(erring=1.0)) as sim:
        ids = interaction_ids(40)
        seen = {i: [(await ask(sim, result(i)))[0] for _ in range(4)] for i in ids}

    failures = {i: tuple(code for code in codes if code != 200) for i, codes in seen.items()}
    assert failures == {i: behaviour_of(sim.scenario, i).refusals for i in ids}
    assert all(
        codes[len(failures[i]) :] == [200] * (4 - len(failures[i])) for i, codes in seen.items()
    )
    assert {len(codes) for codes in failures.values()} == {1, 2}
    assert {code for codes in failures.values() for code in codes} == {500, 502, 503, 504}


async def test_slow_takes_longer_and_delays_no_other_id():
    scenario = Scenario(slow=0.5, slow_s=0.2)
    slow, quick = (
        next(i for i in interaction_ids(50) if behaviour_of(scenario, i).kind is kind)
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
async def test_latency_delays_every_response(kind):
    loop = asyncio.get_running_loop()
    shares = {} if kind == "ok" else {kind: 1.0}

    async with simulate(Scenario(latency_s=0.05, **shares)) as sim:
        for path in (result(ID), status(ID)):
            begun = loop.time()
            await ask(sim, path)
            assert loop.time() - begun >= 0.05


async def test_latency_delays_no_refusal():
    async with asyncio.timeout(5), simulate(Scenario(latency_s=60, throttled=1.0)) as sim:
        assert (await ask(sim, result(ID), token="wrong"))[0] == 401  # noqa: S106 - made up
        assert (await ask(sim, result(ID)))[0] == 429


@pytest.mark.parametrize("coding", ["br", "gzip", "deflate", "identity"])
async def test_corrupt_is_truncated_once_then_complete(coding):
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


async def test_broken_and_garbled_never_succeed():
    async with simulate(Scenario(broken=1.0)) as broken, simulate(Scenario(garbled=1.0)) as garbled:
        for _ in range(5):
            assert (await ask(broken, result(ID)))[0] == 500
            code, headers, body = await ask(garbled, result(ID))
            assert code == 200
            assert headers["Content-Type"].startswith("text/html")
            assert body.startswith(b"<!DOCTYPE html>")


async def test_a_problem_with_the_result_leaves_the_status_alone():
    scenario = Scenario(throttled=0.2, erring=0.2, corrupt=0.2, broken=0.2, garbled=0.2)
    async with simulate(scenario) as sim:
        for i in interaction_ids(30):
            code, _, body = await ask(sim, status(i))
            assert (code, json.loads(body)["status"]) == (200, "processed")


async def test_requests_for_the_status_use_up_no_problem():
    async with simulate(Scenario(throttled=1.0)) as sim:
        codes = [(await ask(sim, path))[0] for path in (status(ID), result(ID), result(ID))]

    assert codes == [200, 429, 200]
