"""One request: that the status line decides, and what is an attempt and what is not."""

import asyncio
import contextlib
import gzip
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from support.certificate import CA, server_context
from support.raw_server import Ending, RawServer, client_of, dripping, response
from support.waiting import wait_until

from cxai.api.client import EXCERPT_BYTES
from cxai.api.protocol import MAX_HEAD_BYTES, MAX_INTERIM
from cxai.policy.reply import Endpoint, Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage

ID, OTHER = "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3302"
NO_REPLY = "the server had closed the kept connection"

pytestmark = pytest.mark.usefixtures("exchange")


async def ask(server, endpoint=Endpoint.RESULT, **limits):
    async with asyncio.timeout(4.0), client_of(server.base_url, **limits) as client:
        return await client.fetch(ID, endpoint)


def interim(status, times, header=""):
    return f"HTTP/1.1 {status} Interim\r\n{header}\r\n".encode() * times


# --- the status line decides ---

HEAD = "HTTP/1.1 {} Status\r\nRetry-After: 7\r\n"
BROKEN_BODIES = {
    "longer than max_wire_bytes": ["Content-Length: 3000\r\n\r\n", b"x" * 3000],
    "without end": ["\r\n", *[b"x" * 10_000] * 100],
    "longer than announced": ["Content-Length: 3\r\n\r\n", b"abcdef"],
    "cut, then closed": ["Content-Length: 100\r\n\r\n", b"abc", Ending.CLOSE],
    "cut, then reset": ["Content-Length: 100\r\n\r\n", b"abc", 0.05, Ending.RESET],
    "cut, then silent": ["Content-Length: 100\r\n\r\n", b"abc", Ending.SILENCE],
    "announced, and never sent": ["Content-Length: 100\r\n\r\n", Ending.CLOSE],
    "a bad chunk": ["Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\nxyz\r\n", Ending.CLOSE],
    "a chunk that is cut": ["Transfer-Encoding: chunked\r\n\r\n", b"a\r\nabc", Ending.CLOSE],
    "a bad chunk of its own": [
        "Transfer-Encoding: chunked\r\n\r\n",
        0.02,
        b"xyz\r\n",
        Ending.SILENCE,
    ],
    "dripping": ["Content-Length: 500\r\n\r\n", *dripping(b"x" * 200)],
    "no gzip, though it says so": ["Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n", b"abc"],
    "none": ["Content-Length: 0\r\n\r\n"],
}


def with_status(status, body):
    head, *rest = BROKEN_BODIES[body]
    return [HEAD.format(status).encode() + head.encode(), *rest]


@pytest.mark.promise(
    "A body that is too large, cut, dripping or broken, under any status but 200",
    "the status counts, and so does its `Retry-After`: no body takes a 401, 404 or 429 back",
    group="HTTP",
)
@pytest.mark.parametrize("body", BROKEN_BODIES)
async def test_a_status_was_read_whatever_becomes_of_its_body(body):
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
async def test_this_holds_for_each_status(status):
    async with RawServer(with_status(status, "cut, then closed")) as server:
        seen = await ask(server)
    assert (seen.status, seen.retry_after_s) == (status, 7.0)


@pytest.mark.parametrize("body", ["cut, then closed", "a bad chunk", "longer than announced"])
@pytest.mark.parametrize("pieces", [1, 7, 10_000])
async def test_a_head_may_come_in_pieces_of_any_size(body, pieces):
    head, *rest = with_status(404, body)
    sent = b"".join([interim(103, 2), head, *(step for step in rest if isinstance(step, bytes))])
    script = [step for i in range(0, len(sent), pieces) for step in (sent[i : i + pieces], 0.001)]
    async with RawServer([*script, Ending.CLOSE]) as server:
        seen = await ask(server)
    assert (seen.status, seen.retry_after_s) == (404, 7.0)


async def test_a_200_needs_its_body():
    broken = BROKEN_BODIES.keys() - {"none", "no gzip, though it says so"}
    async with RawServer(*[with_status(200, body) for body in broken]) as server:
        limits = {"max_wire_bytes": 2000, "read_timeout_s": 0.3, "total_timeout_s": 0.5}
        async with client_of(server.base_url, in_flight=20, **limits) as client:
            seen = await asyncio.gather(*(client.fetch(ID, Endpoint.RESULT) for _ in broken))
    assert all(isinstance(one, Failure) for one in seen)


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"abc", b"def"], [b"a", 0.02, b"bcdef"]])
async def test_a_200_that_is_longer_than_announced_is_no_result(pieces):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    async with RawServer([head, 0.02, *pieces, Ending.SILENCE]) as server:
        seen = await ask(server)
    assert isinstance(seen, Failure)
    assert seen.kind is FailureKind.BROKEN_OFF


async def test_the_words_of_a_refusal_are_kept_with_their_coding():
    words = gzip.compress(b'{"errorMessage": "no such token"}')
    sent = response(words, "Content-Encoding: gzip", status="401 Unauthorized")
    async with RawServer([sent]) as server:
        assert await ask(server) == Reply(401, words, "gzip")


@pytest.mark.parametrize("body", ["without end", "cut, then silent"])
async def test_of_words_only_the_beginning_is_kept_and_the_connection_is_given_up(body):
    async with RawServer(with_status(400, body)) as server, client_of(server.base_url) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
        assert 0 < len(seen.body) <= EXCERPT_BYTES
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")


@pytest.mark.parametrize(
    ("body", "is_cut"),
    [
        ("none", False),
        ("no gzip, though it says so", False),
        ("without end", True),
        ("cut, then closed", True),
        ("cut, then silent", True),
        ("announced, and never sent", True),
        ("a bad chunk of its own", True),
        ("dripping", True),
    ],
)
async def test_a_reply_says_whether_its_words_are_all_of_its_body(body, is_cut):
    async with RawServer(with_status(404, body)) as server:
        assert (await ask(server)).is_cut is is_cut


async def test_a_refusal_with_a_whole_body_leaves_its_connection_for_the_next_request():
    async with (
        RawServer([response(b'{"errorMessage": "no"}', status="404 Not Found")]) as server,
        client_of(server.base_url) as client,
    ):
        for _ in range(3):
            await client.fetch(ID, Endpoint.RESULT)
    assert (len(server.requests), server.connections) == (3, 1)


# --- interim responses ---


@pytest.mark.parametrize("status", [100, 102, 103, 199])
async def test_a_few_interim_responses_are_passed_over(status):
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
    [*((status, "at once") for status in (100, 102, 103, 199)), (103, "one by one")],
)
async def test_a_flood_of_interim_responses_is_an_error(status, pieces):
    if pieces == "at once":
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
    "no HTTP": b"\0garbage" * 5_000,
    "a reply without end": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000,
}


@pytest.mark.promise(
    "A server that sends without end on a connection on which nothing was asked",
    "the connection is closed at once, and the reply before it stands",
    group="HTTP",
)
@pytest.mark.parametrize(
    ("status", "stray"),
    [
        *(("200 OK", stray) for stray in STRAY),
        ("204 None", "a reply without end"),
        ("404 Not Found", "no HTTP"),
        ("429 Too Many", "replies"),
    ],
)
async def test_what_comes_unasked_without_end_is_not_read(stray, status):
    body = b"" if status.startswith("204") else b'{"errorMessage": "no"}'
    script = [response(body, status=status), 0.1, *[STRAY[stray]] * 400, Ending.SILENCE]
    async with RawServer(script) as server, client_of(server.base_url) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")
        assert (seen.status, seen.body) == (int(status[:3]), body)
        again = await client.fetch(ID, Endpoint.RESULT)  # over another connection
        assert again.status == seen.status
    assert server.sent_bytes < 10_000_000  # what the system's buffers took, of 15 MB and more


async def test_a_line_end_behind_a_reply_spoils_nothing():
    async with (
        RawServer([response(b"first") + b"\r\n"], [response(b"next")]) as server,
        client_of(server.base_url) as client,
    ):
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"first"
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"next"


async def test_interim_responses_are_counted_for_each_request_apart():
    script = [interim(103, MAX_INTERIM - 1) + response(b"result")]
    async with RawServer(script) as server, client_of(server.base_url) as client:
        for _ in range(3):
            assert (await client.fetch(ID, Endpoint.RESULT)).body == b"result"


async def test_another_protocol_is_no_reply():
    sent = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with RawServer([sent, b"\0" * 100]) as server, client_of(server.base_url) as client:
        assert await client.fetch(ID, Endpoint.RESULT) == Reply(101)
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")


# --- no connection, no attempt ---


@contextlib.contextmanager
def deaf():
    """Listen without ever accepting, with a full queue: connecting does not end."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(0)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.promise(
    "No connection in time: TCP, TLS, or through a proxy",
    "no attempt of any ID, like a refused connection; ends at `connect_timeout_s`",
    group="HTTP",
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_does_not_come_about_is_no_attempt(scheme):
    with deaf() as port:
        async with client_of(f"{scheme}://127.0.0.1:{port}", connect_timeout_s=0.2) as client:
            seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )
    assert "firewall" in seen.advice


async def test_a_tls_handshake_that_does_not_end_is_no_attempt():
    async with RawServer([Ending.SILENCE]) as server:  # waits for an HTTP head
        url = f"https://127.0.0.1:{server.port}"
        async with client_of(url, connect_timeout_s=0.2) as client:
            seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )


async def test_a_name_server_that_does_not_answer_is_no_attempt(monkeypatch):
    async def never(*_args, **_kwargs):
        await asyncio.Event().wait()

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", never)
    async with client_of("https://api.elevateai.invalid", connect_timeout_s=0.2) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )


async def test_the_total_time_counts_too_while_there_is_no_connection():
    with deaf() as port:
        async with client_of(f"http://127.0.0.1:{port}", total_timeout_s=0.2) as client:
            seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )


# --- kept connections ---


@pytest.mark.promise(
    "A kept connection drops without a reply",
    "no attempt, and nothing is sent again unasked; the retry goes over a fresh connection",
    group="HTTP",
)
@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_retry_after_a_dropped_connection_goes_over_a_fresh_one(ending):
    scripts = [[response(b"first")], [ending], [response(b"third")]]
    async with RawServer(*scripts) as server, client_of(server.base_url) as client:
        seen = [await client.fetch(ID, Endpoint.RESULT) for _ in scripts]
        assert len(server.requests) == len(seen)
        assert server.connections == 2
    assert [getattr(one, "body", one) for one in seen] == [b"first", seen[1], b"third"]
    assert seen[1] == Failure(FailureKind.NO_CONNECTION, FailureStage.HEADERS, NO_REPLY)


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_fresh_connection_that_drops_without_a_reply_is_an_attempt(ending):
    async with RawServer([ending]) as server:
        seen = await ask(server)
    assert (seen.kind, seen.stage) == (FailureKind.BROKEN_OFF, FailureStage.HEADERS)


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_kept_connection_that_drops_within_its_reply_is_an_attempt(ending):
    cut = [b"HTTP/1.1 200 OK\r\nContent-", 0.05, ending]
    async with (
        RawServer([response()], cut) as server,
        client_of(server.base_url) as client,
    ):
        await client.fetch(ID, Endpoint.RESULT)
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert (seen.kind, seen.stage) == (FailureKind.BROKEN_OFF, FailureStage.HEADERS)


@pytest.mark.parametrize("sign", [Ending.RESET, Ending.SILENCE], ids=["reset", "silent"])
async def test_one_dead_connection_is_a_sign_for_all_that_were_kept(sign):
    """A restart of the server, or a router that forgets, takes the whole pool."""
    many = 6
    scripts = [*[[0.1, response(b"before")]] * many, [sign], [response(b"after")]]
    async with (
        RawServer(*scripts) as server,
        client_of(server.base_url, in_flight=many, read_timeout_s=0.3) as client,
    ):
        await asyncio.gather(*(client.fetch(ID, Endpoint.RESULT) for _ in range(many)))
        assert server.connections == many
        assert isinstance(await client.fetch(ID, Endpoint.RESULT), Failure)
        assert (await client.fetch(OTHER, Endpoint.RESULT)).body == b"after"
        assert server.connections == many + 1  # none of the kept ones was tried
        await wait_until(lambda: server.open_connections == 1, "the end of the others")


async def test_an_id_that_drops_its_connection_each_time_gets_one_retry_for_nothing():
    scripts = {ID: [Ending.CLOSE], OTHER: [response()]}
    async with RawServer(by_id=scripts) as server, client_of(server.base_url) as client:
        seen = []
        for _ in range(3):
            await client.fetch(OTHER, Endpoint.RESULT)  # leaves a connection behind
            seen.append((await client.fetch(ID, Endpoint.RESULT)).kind)
    assert seen == [FailureKind.NO_CONNECTION, FailureKind.BROKEN_OFF, FailureKind.BROKEN_OFF]
    assert server.times_asked(ID) == 3


async def test_every_request_is_paced_also_one_that_meets_a_dead_connection():
    departed = []

    async def send_slot():
        departed.append(time.monotonic())

    scripts = [[response()], [Ending.RESET], [response()]]
    async with (
        RawServer(*scripts) as server,
        client_of(server.base_url, send_slot=send_slot) as client,
    ):
        for _ in scripts:
            await client.fetch(ID, Endpoint.RESULT)
        assert len(departed) == len(server.requests) == 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_that_may_leave_is_with_the_system_before_the_loop_does_anything_else(scheme):
    """LocalLimiter.send_slot counts on it: what left is sent by the loop's next turn."""
    heard = []

    def hear(listener):
        connection, _ = listener.accept()
        if scheme == "https":
            connection = server_context().wrap_socket(connection, server_side=True)
        with connection:
            return connection.recv(len("GET"))

    async def fetch(listener):
        hearing = aside.submit(hear, listener)

        async def send_slot():
            # Blocks the loop, so that what has not been sent by now isn't heard.
            loop.call_soon(lambda: heard.append(hearing.result(timeout=2.0)))

        loop, base_url = asyncio.get_running_loop(), f"{scheme}://localhost:{port}"
        async with client_of(base_url, send_slot=send_slot, ca_file=CA) as client:
            await client.fetch(ID, Endpoint.RESULT)

    with ThreadPoolExecutor(1) as aside, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5.0)
        port = listener.getsockname()[1]
        uvloop.run(fetch(listener))  # as the product does
    assert heard == [b"GET"]


@contextlib.asynccontextmanager
async def waiting_to_leave(server):
    """Yield a client, its request that has its connection, and what lets that leave."""
    may_leave = asyncio.Event()
    async with client_of(server.base_url, send_slot=may_leave.wait) as client:
        fetching = asyncio.create_task(client.fetch(ID, Endpoint.RESULT))
        await wait_until(lambda: server.open_connections == 1, "the connection")
        yield client, fetching, may_leave


async def turns_of_the_loop():
    for _ in range(10):  # what has arrived is read
        await asyncio.sleep(0)


async def test_a_connection_that_drops_while_its_request_waits_to_leave_is_no_attempt():
    async with (
        RawServer([response(b"at last")]) as server,
        waiting_to_leave(server) as (client, fetching, may_leave),
    ):
        server.drop()
        await wait_until(lambda: server.open_connections == 0, "its end")
        await turns_of_the_loop()
        may_leave.set()
        assert await fetching == Failure(FailureKind.NO_CONNECTION, FailureStage.HEADERS, NO_REPLY)
        assert server.requests == []
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"at last"


@pytest.mark.parametrize("said", [response(b"unasked"), response(b"unasked")[:20]])
async def test_what_is_said_while_a_request_waits_to_leave_is_not_its_reply(said):
    async with (
        RawServer([response(b"at last")]) as server,
        waiting_to_leave(server) as (client, fetching, may_leave),
    ):
        server.say(said)
        await turns_of_the_loop()
        may_leave.set()
        assert await fetching == Failure(FailureKind.NO_CONNECTION, FailureStage.HEADERS, NO_REPLY)
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"at last"
