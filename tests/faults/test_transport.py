"""One response: the status line decides; interim responses and unsolicited data are bounded."""

import asyncio
import gzip
import time

import pytest
from support.raw_server import Ending, RawServer, client_of, dripping, response
from support.waiting import wait_until

from cxai.api.client import EXCERPT_BYTES
from cxai.api.protocol import MAX_HEAD_BYTES, MAX_INTERIM
from cxai.policy.reply import Endpoint, Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage

pytestmark = pytest.mark.usefixtures("exchange")


ID, OTHER = "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3302"

NO_REPLY = "the server had closed the kept connection"


async def ask(server, endpoint=Endpoint.RESULT, **limits):
    async with asyncio.timeout(4.0), client_of(server.base_url, **limits) as client:
        return await client.fetch(ID, endpoint)


def interim(status, times, header=""):
    return f"HTTP/1.1 {status} Interim\r\n{header}\r\n".encode() * times


HEAD = "HTTP/1.1 {} Status\r\nRetry-After: 7\r\n"

BROKEN_BODIES = {
    "longer than max_wire_bytes": ["Content-Length: 3000\r\n\r\n", b"x" * 3000],
    "endless": ["\r\n", *[b"x" * 10_000] * 100],
    "longer than announced": ["Content-Length: 3\r\n\r\n", b"abcdef"],
    "truncated, then closed": ["Content-Length: 100\r\n\r\n", b"abc", Ending.CLOSE],
    "truncated, then reset": ["Content-Length: 100\r\n\r\n", b"abc", 0.05, Ending.RESET],
    "truncated, then silent": ["Content-Length: 100\r\n\r\n", b"abc", Ending.SILENCE],
    "announced, and never sent": ["Content-Length: 100\r\n\r\n", Ending.CLOSE],
    "a bad chunk": ["Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\nxyz\r\n", Ending.CLOSE],
    "a truncated chunk": ["Transfer-Encoding: chunked\r\n\r\n", b"a\r\nabc", Ending.CLOSE],
    "a bad chunk, sent separately": [
        "Transfer-Encoding: chunked\r\n\r\n",
        0.02,
        b"xyz\r\n",
        Ending.SILENCE,
    ],
    "dripping": ["Content-Length: 500\r\n\r\n", *dripping(b"x" * 200)],
    "not gzip, though declared so": ["Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n", b"abc"],
    "none": ["Content-Length: 0\r\n\r\n"],
}


def with_status(status, body):
    head, *rest = BROKEN_BODIES[body]
    return [HEAD.format(status).encode() + head.encode(), *rest]


@pytest.mark.promise(
    "A body that is too large, truncated, dripping or broken, with any status but 200",
    "the status and its `Retry-After` count: no body changes a 401, 404 or 429",
    group="HTTP",
)
@pytest.mark.parametrize("body", BROKEN_BODIES)
async def test_a_status_counts_whatever_happens_to_its_body(body):
    asked = [(status, endpoint) for status in (202, 401, 404, 429, 503) for endpoint in Endpoint]
    async with RawServer(*[with_status(status, body) for status, _ in asked]) as server:
        begun = time.monotonic()
        async with client_of(server.base_url, max_wire_bytes=2000, in_flight=10) as client:
            seen = await asyncio.gather(*(client.fetch(ID, endpoint) for _, endpoint in asked))
        assert time.monotonic() - begun < 3.0  # not until a time-out of 5 s
    assert all(isinstance(one, Reply) for one in seen), seen
    found = sorted((one.status, one.retry_after_s) for one in seen)
    assert found == [(status, 7.0) for status, _ in asked]


@pytest.mark.parametrize("status", [201, 204, 205, 206, 301, 304, 400, 403, 409, 422, 500, 502])
async def test_each_status_counts_without_its_body(status):
    async with RawServer(with_status(status, "truncated, then closed")) as server:
        seen = await ask(server)
    assert (seen.status, seen.retry_after_s) == (status, 7.0)


@pytest.mark.parametrize("body", ["truncated, then closed", "a bad chunk", "longer than announced"])
@pytest.mark.parametrize("pieces", [1, 7, 10_000])
async def test_a_head_may_come_in_pieces_of_any_size(body, pieces):
    head, *rest = with_status(404, body)
    sent = b"".join([interim(103, 2), head, *(step for step in rest if isinstance(step, bytes))])
    script = [step for i in range(0, len(sent), pieces) for step in (sent[i : i + pieces], 0.001)]
    async with RawServer([*script, Ending.CLOSE]) as server:
        seen = await ask(server)
    assert (seen.status, seen.retry_after_s) == (404, 7.0)


async def test_a_200_needs_its_body():
    broken = BROKEN_BODIES.keys() - {"none", "not gzip, though declared so"}
    async with RawServer(*[with_status(200, body) for body in broken]) as server:
        limits = {"max_wire_bytes": 2000, "read_timeout_s": 0.3, "total_timeout_s": 0.5}
        async with client_of(server.base_url, in_flight=20, **limits) as client:
            seen = await asyncio.gather(*(client.fetch(ID, Endpoint.RESULT) for _ in broken))
    assert all(isinstance(one, Failure) for one in seen)


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abc", b"def"], [b"a", 0.02, b"bcdef"]])
async def test_a_200_that_is_longer_than_announced_is_not_a_result(pieces):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    async with RawServer([head, 0.02, *pieces, Ending.SILENCE]) as server:
        seen = await ask(server)
    assert isinstance(seen, Failure)
    assert seen.kind is FailureKind.BROKEN_OFF


async def test_the_body_of_a_refusal_is_kept_with_its_coding():
    words = gzip.compress(b'{"errorMessage": "no such token"}')
    sent = response(words, "Content-Encoding: gzip", status="401 Unauthorized")
    async with RawServer([sent]) as server:
        assert await ask(server) == Reply(401, words, "gzip")


@pytest.mark.parametrize("body", ["endless", "truncated, then silent"])
async def test_only_the_beginning_of_an_error_body_is_kept_and_the_connection_is_closed(body):
    async with RawServer(with_status(400, body)) as server, client_of(server.base_url) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
        assert 0 < len(seen.body) <= EXCERPT_BYTES
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")


@pytest.mark.parametrize(
    ("body", "is_cut"),
    [
        ("none", False),
        ("not gzip, though declared so", False),
        ("endless", True),
        ("truncated, then closed", True),
        ("truncated, then silent", True),
        ("announced, and never sent", True),
        ("a bad chunk, sent separately", True),
        ("dripping", True),
    ],
)
async def test_a_reply_shows_whether_its_body_is_cut(body, is_cut):
    async with RawServer(with_status(404, body)) as server:
        assert (await ask(server)).is_cut is is_cut


async def test_the_connection_of_a_complete_refusal_is_reused():
    async with (
        RawServer([response(b'{"errorMessage": "no"}', status="404 Not Found")]) as server,
        client_of(server.base_url) as client,
    ):
        for _ in range(3):
            await client.fetch(ID, Endpoint.RESULT)
    assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize("status", [100, 102, 103, 199])
async def test_a_few_interim_responses_are_skipped(status):
    sent = interim(status, MAX_INTERIM, "Link: </style.css>\r\n") + response(b"at last")
    async with RawServer([sent]) as server:
        assert (await ask(server)).body == b"at last"


async def test_a_server_that_is_silent_after_an_interim_response_ends_at_the_read_timeout():
    async with RawServer([interim(103, 1), Ending.SILENCE]) as server:
        seen = await ask(server, read_timeout_s=0.1, total_timeout_s=60.0)
    assert (seen.kind, seen.stage) == (FailureKind.TIMEOUT, FailureStage.HEADERS)


@pytest.mark.promise(
    "Interim responses (1xx) without end",
    "a transport error after ten; the run still answers to SIGTERM",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("status", "pieces"),
    [*((status, "together") for status in (100, 102, 103, 199)), (103, "one by one")],
)
async def test_a_flood_of_interim_responses_is_an_error(status, pieces):
    if pieces == "together":
        script = [interim(status, 20_000)] * 100
    else:
        script = [step for _ in range(100) for step in (interim(status, 1), 0.001)]
    async with RawServer(script) as server:
        seen = await ask(server)
    reason = f"more than {MAX_INTERIM} interim responses (1xx)"
    assert seen == Failure(FailureKind.BROKEN_OFF, FailureStage.HEADERS, reason)
    assert server.sent_bytes < 20_000_000  # what the system's buffers took, of 50 MB


@pytest.mark.promise(
    "Empty lines or header lines without end, before any reply",
    "a transport error after 128 KiB; memory stays as it is, and SIGTERM is answered",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("begin", "flood"),
    [
        (b"", b"\r\n"),
        (b"", b"\n"),
        (b"", b"\r\n\r\n"),
        (interim(103, 1), b"\n"),
        (b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n", b"\r\n"),
    ],
)
async def test_a_flood_of_empty_lines_is_an_error(flood, begin):
    async with RawServer([begin, *[flood * 30_000] * 400, Ending.SILENCE]) as server:
        seen = await ask(server)
    assert seen.kind is FailureKind.BROKEN_OFF
    assert seen.reason == f"more than {MAX_HEAD_BYTES} bytes before a body"
    assert server.sent_bytes < 8_000_000  # what the system's buffers took, of 12 MB and more


STRAY = {
    "replies": response(b"{}") * 1_000,
    "interim responses": interim(102, 2_000),
    "empty lines": b"\r\n" * 20_000,
    "not HTTP": b"\0garbage" * 5_000,
    "a reply without end": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000,
}


@pytest.mark.promise(
    "A server that sends without end on a connection on which nothing was asked",
    "the connection is closed immediately, and the reply before it counts",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("status", "stray"),
    [
        *(("200 OK", stray) for stray in STRAY),
        ("204 None", "a reply without end"),
        ("404 Not Found", "not HTTP"),
        ("429 Too Many", "replies"),
    ],
)
async def test_endless_data_without_a_request_is_not_read(stray, status):
    body = b"" if status.startswith("204") else b'{"errorMessage": "no"}'
    script = [response(body, status=status), 0.1, *[STRAY[stray]] * 400, Ending.SILENCE]
    async with RawServer(script) as server, client_of(server.base_url) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")
        assert (seen.status, seen.body) == (int(status[:3]), body)
        again = await client.fetch(ID, Endpoint.RESULT)  # over another connection
        assert again.status == seen.status
    assert server.sent_bytes < 10_000_000  # what the system's buffers took, of 15 MB and more


async def test_a_line_break_after_a_reply_is_harmless():
    async with (
        RawServer([response(b"first") + b"\r\n"], [response(b"next")]) as server,
        client_of(server.base_url) as client,
    ):
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"first"
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"next"


async def test_interim_responses_are_counted_separately_for_each_request():
    script = [interim(103, MAX_INTERIM - 1) + response(b"result")]
    async with RawServer(script) as server, client_of(server.base_url) as client:
        for _ in range(3):
            assert (await client.fetch(ID, Endpoint.RESULT)).body == b"result"


async def test_a_switch_of_protocols_is_not_a_reply():
    sent = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with RawServer([sent, b"\0" * 100]) as server, client_of(server.base_url) as client:
        assert await client.fetch(ID, Endpoint.RESULT) == Reply(101)
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")
