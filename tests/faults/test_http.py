"""What the network and a broken server can do to one request, and to its ID.

Every outcome is a value with what was really read, and the server sees as many requests as were
counted.
"""

import asyncio
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from support.bodies import as_body, sample
from support.checker import Ledger, assert_exact
from support.command import TOKEN, environment, verdict_by_id
from support.leftovers import SCENARIO, go_on
from support.raw_server import Ending, RawServer, client_of, dripping, response
from support.serving import serving
from support.waiting import wait_until

from cxai.api.session_exchange import SessionExchange
from cxai.api.thin_exchange import ThinExchange
from cxai.policy.reply import Endpoint, Failure, FailureKind, Reply
from cxai.policy.verdict import OPEN_AGAIN, FailureStage

ID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

A_MOMENT_S = 0.4

each_way = pytest.mark.usefixtures("exchange")


async def ask(server, **limits):
    """Fetch once; fail if that takes much longer than any limit of these tests."""
    async with asyncio.timeout(4.0), client_of(server.base_url, **limits) as client:
        return await client.fetch(ID, Endpoint.RESULT)


def fault(seen):
    """Return the kind and stage of a failure; fail if it is a reply."""
    assert isinstance(seen, Failure), seen
    assert TOKEN not in seen.reason
    return seen.kind, seen.stage


def moved(base_url, status):
    return response(b"", f"Location: {base_url}/", status=f"{status} Elsewhere")


ANSWERS = {
    "HTML": [response(b"<!DOCTYPE html><html>", "Content-Type: text/html")],
    "empty": [response(b"")],
    "404": [response(status="404 Not Found")],
    "410": [response(status="410 Gone")],
    "400": [response(b'{"errorMessage": "No."}', status="400 Bad Request")],
    "422": [response(b'{"errorMessage": "No."}', status="422 Oops")],
    "499": [response(b'{"errorMessage": "No."}', status="499 Oops")],
    "500": [response(status="500 Oops")],
    "502": [response(status="502 Oops")],
    "504": [response(status="504 Oops")],
    "599": [response(status="599 Oops")],
    "reset": [Ending.RESET],
    "no reply": [Ending.CLOSE],
    "length too long": [HEAD + b"\r\n{}", Ending.CLOSE],
    "length too short": [response(b'{"participantOne": null}').replace(b": 24", b": 23")],
    "bad chunk": [CHUNKED + b"xyz\r\nabc\r\n", Ending.CLOSE],
    "301": [],
    "302": [],
    "307": [],
    "308": [],
    "sane": [response(as_body(sample()))],
}

IN_THE_END = {
    "HTML": "bad_body",
    "empty": "bad_body",
    "404": "not_found",
    "410": "not_found",
    "400": "rejected",
    "422": "rejected",
    "499": "rejected",
    "sane": "ok",
    **dict.fromkeys(("301", "302", "307", "308"), "redirected"),
}

ATTEMPTS = 3


@dataclass(frozen=True)
class Answered:
    """What became of an ID for each answer, by its name, in one run of the command."""

    ids: dict
    verdicts: dict
    asked: dict
    export: Path
    requests_told: int
    requests_seen: int
    connections_to_the_other_host: int


@pytest.fixture(scope="module")
def answered(guids, tmp_path_factory):
    """Serve every answer to one run of the command."""
    ids = dict(zip(ANSWERS, guids(len(ANSWERS)), strict=True))
    export = tmp_path_factory.mktemp("http") / "export"
    more = environment(
        CXAI_MAX_ATTEMPTS=str(ATTEMPTS), CXAI_BACKOFF_BASE_S="0.01", CXAI_OUTAGE_AFTER="1000"
    )
    with serving(RawServer([response(b'{"stolen": true}')])) as other:
        answers = {
            ids[name]: script or [moved(other.base_url, name)] for name, script in ANSWERS.items()
        }
        with serving(RawServer(by_id=answers)) as api:
            ended = go_on(api, export, ids.values(), "--max-failed", "1", "--json", env=more)
            assert ended.code == 0, ended.err
    verdicts = verdict_by_id(export)
    return Answered(
        ids,
        {name: verdicts[one] for name, one in ids.items()},
        {name: api.times_asked(one) for name, one in ids.items()},
        export,
        ended.json["requests"],
        len(api.requests),
        other.connections,
    )


@pytest.mark.promise(
    "200 with HTML or an empty body, while other IDs are answered", "retried, then `bad_body`"
)
@pytest.mark.parametrize("name", ["HTML", "empty"])
def test_a_success_without_a_result_is_a_bad_body(answered, name):
    assert (answered.verdicts[name], answered.asked[name]) == ("bad_body", ATTEMPTS)


@pytest.mark.promise(
    "404 or 410 from the API (an empty body or its own words), for the status as well",
    "`not_found` after one status request; nothing is retried",
)
@pytest.mark.parametrize("name", ["404", "410"])
def test_a_missing_interaction_is_not_requested_again(answered, name):
    assert (answered.verdicts[name], answered.asked[name]) == ("not_found", 2)


@pytest.mark.promise(
    "400, 422 or another 4xx without a row here, in the API's own words", "`rejected` immediately"
)
@pytest.mark.parametrize("name", ["400", "422", "499"])
def test_a_rejected_request_is_not_repeated(answered, name):
    assert (answered.verdicts[name], answered.asked[name]) == ("rejected", 1)


@pytest.mark.promise(
    "Any 3xx, while other IDs are answered",
    "retried once, then `redirected`; the other host sees neither a connection nor the token",
)
@pytest.mark.parametrize("name", ["301", "302", "307", "308"])
def test_a_redirect_is_a_verdict_and_the_other_host_sees_nothing(answered, name):
    assert (answered.verdicts[name], answered.asked[name]) == ("redirected", 2)
    assert answered.connections_to_the_other_host == 0


PASSING = sorted(ANSWERS.keys() - IN_THE_END.keys())


@pytest.mark.promise(
    "5xx, a reset or no reply at all, while other IDs are answered",
    "retried with backoff, then `exhausted` for this run",
)
@pytest.mark.promise(
    "`Content-Length` too long or too short, a bad chunk, while other IDs are answered",
    "a transport error: retried with backoff, then `exhausted` for this run",
)
def test_a_temporary_error_is_retried_and_then_left_for_the_next_run(answered):
    assert answered.verdicts == IN_THE_END | dict.fromkeys(PASSING, "exhausted")
    for name in PASSING:
        # The first time, a kept connection may have dropped, which is not an attempt.
        free = name in ("reset", "no reply")
        assert ATTEMPTS <= answered.asked[name] <= ATTEMPTS + free


@pytest.mark.promise(
    "A connection that closes without a reply",
    "as many requests reach the server as were counted against the rate",
)
def test_the_server_sees_as_many_requests_as_were_counted(answered):
    assert answered.requests_seen == answered.requests_told == sum(answered.asked.values())


@pytest.mark.promise(
    "`exhausted`, `rejected`, `redirected` or a body of no use in an earlier run",
    "retried automatically by the next run",
)
def test_the_next_run_retries_only_temporary_errors(answered, tmp_path):
    open_again = {name for name, verdict in answered.verdicts.items() if verdict in OPEN_AGAIN}
    assert answered.ids.keys() - open_again == {"404", "410", "sane"}
    export = shutil.copytree(answered.export, tmp_path / "export")
    with serving(RawServer([response(as_body(sample()))])) as api:
        ended = go_on(api, export, answered.ids.values(), "--max-failed", "1")
    assert ended.code == 0, ended.err
    assert {name for name, one in answered.ids.items() if api.times_asked(one)} == open_again
    verdicts = verdict_by_id(export)
    assert {verdicts[answered.ids[name]] for name in open_again} == {"ok"}


@pytest.mark.promise(
    "The API refuses the token for every ID: 401, or 403 with neither foreign page nor Retry-After",
    "the run stops with code 3 after a second look; no ID gets a verdict",
)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_stops_the_run_and_leaves_every_id_open(api, export, ids, status):
    with serving(RawServer([response(status=f"{status} No")])) as refusing:
        ended = go_on(refusing, export, ids)
    assert ended.code == 3
    assert f"The API refused the token (HTTP {status}, for " in ended.out
    assert Ledger(export).outcomes == {}
    assert TOKEN not in ended.out + ended.err
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise(
    "Connection refused, or a host name without an address",
    "an outage: no ID loses an attempt; code 4 after `start_patience_s` (`outage_patience_s` once"
    " the API has answered), and every ID stays open",
)
@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9 .* Connection refused"),
        ("https://nonexistent.invalid", "nonexistent.invalid .* host name not resolved"),
    ],
)
def test_an_unreachable_api_gives_no_id_a_verdict(api, export, ids, base_url, why):
    more = environment(
        CXAI_MAX_ATTEMPTS="1", CXAI_BACKOFF_BASE_S="0.01", CXAI_OUTAGE_PATIENCE_S="0.5"
    )
    ended = go_on(SimpleNamespace(base_url=base_url), export, ids, "--json", env=more)
    assert ended.code == 4, ended.err
    assert ended.json["requests"] > 1
    assert re.search(why, ended.json["stopped_by"])
    assert Ledger(export).outcomes == {}
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise(
    "More IDs than connections",
    "no timeout while waiting: the time of a request starts with the request",
)
def test_waiting_for_a_connection_is_not_a_timeout(simulated, guids, export):
    ids = guids(40)
    quick = environment(CXAI_TOTAL_TIMEOUT_S="1.0", CXAI_MAX_ATTEMPTS="1")
    with simulated(latency_s=0.15) as api:  # 10 rounds of it: more than any request may take
        ended = go_on(api, export, ids, "--in-flight", "4", "--json", env=quick)
    assert ended.code == 0, ended.err
    assert (ended.json["verdicts"], api.stats.requests) == ({"ok": 40}, 40)


@each_way
async def test_a_refused_connection_has_the_reason_of_the_system():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with client_of(f"http://127.0.0.1:{port}") as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, "Connection refused")


@each_way
async def test_a_host_without_an_address_is_no_connection():
    async with client_of("https://nonexistent.invalid", total_timeout_s=30.0) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "host name not resolved"
    )


@pytest.mark.promise(
    "The connection closes or is reset before the response is complete",
    "a transport error; never a shorter body",
)
@pytest.mark.parametrize(
    ("script", "stage"),
    [
        ([Ending.CLOSE], FailureStage.HEADERS),
        ([Ending.RESET], FailureStage.HEADERS),
        ([b"HTTP/1.1 200 OK\r\nContent-", Ending.CLOSE], FailureStage.HEADERS),
        ([HEAD + b"\r\nabc", Ending.CLOSE], FailureStage.BODY),
        ([HEAD + b"\r\nabc", 0.05, Ending.RESET], FailureStage.BODY),
        ([CHUNKED + b"3\r\nabc\r\n", Ending.CLOSE], FailureStage.BODY),
        ([CHUNKED + b"a\r\nabc", Ending.CLOSE], FailureStage.BODY),
    ],
)
@each_way
async def test_a_connection_that_ends_too_early_is_broken_off(script, stage):
    async with RawServer(script) as server:
        seen = await ask(server)
    assert fault(seen) == (FailureKind.BROKEN_OFF, stage)
    assert len(server.requests) == 1


@pytest.mark.promise(
    "A response that is not HTTP, or has a header too large",
    "a transport error, never a status",
)
@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"220 smtp.example.com ESMTP\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
        b"\0" * 100 + b"\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        HEAD + b"X: y\r\n" * 50_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ids=lambda sent: repr(sent[:40]),
)
@each_way
async def test_a_response_that_is_not_http_is_broken_off_and_never_a_status(nonsense):
    async with RawServer([nonsense, Ending.CLOSE]) as server:
        seen = await ask(server)
    assert fault(seen)[0] is FailureKind.BROKEN_OFF  # aiohttp calls some of these a 400


@pytest.mark.promise("Invalid chunks", "a transport error")
@pytest.mark.parametrize(
    "framing", [b"xyz\r\nabc\r\n", b"-3\r\nabc\r\n", b"3\r\nabcdef\r\n0\r\n\r\n"]
)
@each_way
async def test_invalid_chunks_are_broken_off(framing):
    async with RawServer([CHUNKED + framing, Ending.CLOSE]) as server:
        seen = await ask(server)
    assert fault(seen)[0] is FailureKind.BROKEN_OFF


async def test_any_response_gives_a_value_which_is_the_same_for_both_exchanges():
    chance = Random(7)
    sane = [
        response(b'{"allParticipants": null}', "Content-Encoding: gzip", "Retry-After: 5"),
        CHUNKED + b"5\r\nabcde\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ]

    def garbled():
        sent = bytearray(chance.choice(sane))
        for _ in range(chance.randrange(1, 5)):
            match chance.randrange(3):
                case 0:
                    sent[chance.randrange(len(sent))] = chance.randrange(256)
                case 1:
                    del sent[chance.randrange(len(sent))]
                case 2:
                    place = chance.randrange(len(sent))
                    sent[place:place] = chance.choice([b"\r\n", b"\0", b":", b"\xff", b"9", b" "])
        return bytes(sent)

    scripts = [[garbled(), Ending.CLOSE] for _ in range(400)]
    seen = []
    for way in (ThinExchange, SessionExchange):
        limits = {"open_exchange": way, "total_timeout_s": 2.0}
        async with RawServer(*scripts) as server:
            seen.append([await ask(server, **limits) for _ in scripts])
        assert len(server.requests) == len(scripts)
    assert {type(one) for one in seen[0]} == {Reply, Failure}
    assert seen[0] == seen[1]


@pytest.mark.promise("The server falls silent", "ends at `read_timeout_s`")
@each_way
async def test_a_server_that_is_silent_ends_at_the_read_timeout():
    async with RawServer([Ending.SILENCE]) as server:
        seen = await ask(server, read_timeout_s=A_MOMENT_S)
    assert fault(seen) == (FailureKind.TIMEOUT, FailureStage.HEADERS)


@each_way
async def test_a_server_that_falls_silent_within_its_body_ends_at_the_read_timeout():
    async with RawServer([HEAD + b"\r\nabc", Ending.SILENCE]) as server:
        seen = await ask(server, read_timeout_s=A_MOMENT_S)
    assert fault(seen) == (FailureKind.TIMEOUT, FailureStage.BODY)


@pytest.mark.promise("Headers, body or chunks that drip", "ends at `total_timeout_s`")
@pytest.mark.parametrize(
    ("script", "stage"),
    [
        (dripping(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200), FailureStage.HEADERS),
        ([HEAD + b"\r\n", *dripping(b"x" * 99)], FailureStage.BODY),
        ([CHUNKED, *dripping(b"1\r\nx\r\n" * 50)], FailureStage.BODY),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", 0.05] * 100, FailureStage.HEADERS),
    ],
    ids=["headers", "body", "chunks", "interim responses"],
)
@each_way
async def test_a_dripping_response_ends_at_the_total_timeout(script, stage):
    async with RawServer(script) as server:
        seen = await ask(server, read_timeout_s=1.0, total_timeout_s=A_MOMENT_S)
    assert fault(seen) == (FailureKind.TIMEOUT, stage)


@each_way
async def test_a_timeout_does_not_affect_the_next_request():
    async with (
        RawServer([1.0, response(b"late")], [response(b"next")]) as server,
        client_of(server.base_url, total_timeout_s=A_MOMENT_S) as client,
    ):
        late = await client.fetch(ID, Endpoint.RESULT)
        assert fault(late) == (FailureKind.TIMEOUT, FailureStage.HEADERS)
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"next"


@each_way
async def test_requests_up_to_the_pool_size_run_concurrently():
    async with (
        RawServer([0.4, response()]) as server,
        client_of(server.base_url, in_flight=20, total_timeout_s=1.5) as client,
    ):
        seen = await asyncio.gather(*(client.fetch(ID, Endpoint.RESULT) for _ in range(20)))
    assert {one.status for one in seen} == {200}


@pytest.mark.promise("An endless body", "`too_large`; no more is read than the limit")
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
@each_way
async def test_a_body_beyond_the_limit_is_not_read_to_its_end(head):
    piece = b"x" * 10_000
    async with RawServer([head, *[piece] * 10_000]) as server:
        seen = await ask(server, max_wire_bytes=50_000)
        assert fault(seen) == (FailureKind.TOO_LARGE, FailureStage.BODY)
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")
    assert server.sent_bytes < 20_000_000  # what the system's buffers took, of 100 MB


@each_way
async def test_a_body_of_exactly_the_limit_is_read():
    async with RawServer([response(b"x" * 50_000)], [response(b"x" * 50_001)]) as server:
        assert (await ask(server, max_wire_bytes=50_000)).body == b"x" * 50_000
        assert fault(await ask(server, max_wire_bytes=50_000))[0] is FailureKind.TOO_LARGE
