"""The simulator as a server: its token, its limits, its stats, its start and stop."""

import asyncio
import json
from collections import Counter

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulator import ID, TOKEN, ask, interaction_ids, result, simulate, status

from cxai.simulator import Fault, Scenario, Simulator
from cxai.simulator.traffic import Rate


async def until(happens):
    async with asyncio.timeout(5):
        while not happens():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0)


@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x"])
async def test_a_request_without_the_token_is_refused(token):
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
async def test_anything_else_is_not_found(method, path):
    async with simulate(Scenario()) as sim:
        code, _, body = await ask(sim, path, method=method)

        assert (code, body) == (404, b"")
        assert sim.stats.by_path == {"other": 1}


async def test_requests_beyond_the_rate_get_429():
    async with simulate(Scenario(rate=5)) as sim:
        replies = await asyncio.gather(*(ask(sim, result(i)) for i in interaction_ids(8)))

    assert Counter(code for code, _, _ in replies) == {200: 5, 429: 3}
    assert {headers.get("Retry-After") for code, headers, _ in replies if code == 429} == {"1"}


async def test_status_requests_count_against_the_rate():
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


async def test_requests_beyond_those_in_flight_get_429():
    async with simulate(Scenario(in_flight=2, latency_s=0.2)) as sim:
        replies = await asyncio.gather(*(ask(sim, result(i)) for i in interaction_ids(5)))
        again, _, _ = await ask(sim, result(ID))

    assert Counter(code for code, _, _ in replies) == {200: 2, 429: 3}
    assert {headers.get("Retry-After") for code, headers, _ in replies if code == 429} == {None}
    assert again == 200


async def test_stats_count_requests_and_responses_and_need_no_token():
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


async def test_a_client_that_disconnects_is_no_longer_in_flight():
    async with simulate(Scenario(latency_s=60)) as sim:
        request = asyncio.create_task(ask(sim, result(ID)))
        await until(lambda: sim.stats.in_flight == 1)
        request.cancel()
        await until(lambda: sim.stats.in_flight == 0)

    assert sim.stats.requests == 1
    assert not sim.stats.by_status


async def test_closing_waits_for_no_slow_response():
    async with simulate(Scenario(slow=1.0, slow_s=60)) as sim:
        requests = [asyncio.create_task(ask(sim, result(i))) for i in interaction_ids(3)]
        await until(lambda: sim.stats.in_flight == 3)
        begun = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() - begun < 0.5
    assert sim.stats.in_flight == 0
    ended = await asyncio.gather(*requests, return_exceptions=True)
    assert [isinstance(end, aiohttp.ClientConnectionError) for end in ended] == [True] * 3


async def test_closing_drops_what_a_client_does_not_read():
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


async def test_it_responds_again_once_it_is_reopened():
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
    async with simulate(Scenario()) as sim:
        port = int(sim.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await simulate(Scenario(), port=port).__aenter__()


def test_base_url_is_not_known_before_opening():
    with pytest.raises(RuntimeError, match="open it first"):
        _ = simulate(Scenario()).base_url


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"token": ""}, "^token is empty"), ({"token": "t", "port": 65_536}, "^port is 65536")],
)
def test_a_simulator_that_cannot_serve_is_refused_with_the_reason(wrong, message):
    with pytest.raises(ValueError, match=message):
        Simulator(Scenario(), **wrong)
