"""What the network and a broken server can do to one request.

Whatever it is, it comes back as a value that tells what was really read, the server sees as many
requests as were asked for, and no reply is ever taken for another one's.
"""

import asyncio
import shutil
import socket
import ssl
import subprocess
from random import Random

import pytest
from support.command import TOKEN
from support.raw_server import Ending, RawServer, client_of, dripping, response
from support.waiting import wait_until

from worker.domain.reply import Failure, Question, Reply, Trouble
from worker.domain.verdict import Stage

ID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
A_MOMENT_S = 0.4


async def ask(server, **limits):
    """Fetch once; fail if that takes much longer than any limit of these tests."""
    async with asyncio.timeout(4.0), client_of(server.base_url, **limits) as client:
        return await client.fetch(ID, Question.RESULT)


async def turns_of_the_loop():
    for _ in range(10):
        await asyncio.sleep(0)


def fault(seen):
    """Return what went wrong and where; fail if nothing did."""
    assert isinstance(seen, Failure), seen
    assert TOKEN not in seen.reason
    return seen.trouble, seen.stage


# --- no connection ---


async def test_a_refused_connection_is_told_as_the_system_tells_it():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with client_of(f"http://127.0.0.1:{port}") as client:
        seen = await client.fetch(ID, Question.RESULT)
    assert seen == Failure(Trouble.NO_CONNECTION, Stage.CONNECT, "Connection refused")


async def test_a_host_without_an_address_is_no_connection():
    async with client_of("https://nonexistent.invalid", total_timeout_s=30.0) as client:
        seen = await client.fetch(ID, Question.RESULT)
    assert seen == Failure(Trouble.NO_CONNECTION, Stage.CONNECT, "host name not resolved")


@pytest.fixture
def certificate(tmp_path):
    """Make a certificate for localhost that no authority has signed."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: nothing makes a certificate")
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -out {certificate}"
    subprocess.run([*command.split(), "-keyout", key], check=True, capture_output=True)
    return certificate, key


@pytest.mark.promise(
    "A TLS certificate that nobody vouches for", "no connection, and the token is not sent"
)
async def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_token_is_sent(
    certificate,
):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with RawServer([response()], tls=context) as server:
        seen = await ask(server)
    assert seen == Failure(Trouble.NO_CONNECTION, Stage.CONNECT, "no secure connection (TLS)")
    assert server.requests == []


# --- broken off ---


@pytest.mark.promise(
    "The connection closes or is reset before the response is complete",
    "a transport error; never a shorter body",
)
@pytest.mark.parametrize(
    ("script", "stage"),
    [
        ([Ending.CLOSE], Stage.HEADERS),
        ([Ending.RESET], Stage.HEADERS),
        ([b"HTTP/1.1 200 OK\r\nContent-", Ending.CLOSE], Stage.HEADERS),
        ([HEAD + b"\r\nabc", Ending.CLOSE], Stage.BODY),
        ([HEAD + b"\r\nabc", 0.05, Ending.RESET], Stage.BODY),
        ([CHUNKED + b"3\r\nabc\r\n", Ending.CLOSE], Stage.BODY),
        ([CHUNKED + b"a\r\nabc", Ending.CLOSE], Stage.BODY),
    ],
)
async def test_a_connection_that_ends_too_early_is_broken_off(script, stage):
    async with RawServer(script) as server:
        seen = await ask(server)
    assert fault(seen) == (Trouble.BROKEN_OFF, stage)
    assert len(server.requests) == 1


@pytest.mark.promise(
    "A response that is no HTTP, or has a header too large",
    "a transport error; never taken for a status",
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
async def test_what_is_no_http_is_broken_off_and_never_a_status(nonsense):
    async with RawServer([nonsense, Ending.CLOSE]) as server:
        seen = await ask(server)
    assert fault(seen)[0] is Trouble.BROKEN_OFF  # aiohttp calls some of these a 400


@pytest.mark.promise("Chunks that are none", "a transport error")
@pytest.mark.parametrize(
    "framing", [b"xyz\r\nabc\r\n", b"-3\r\nabc\r\n", b"3\r\nabcdef\r\n0\r\n\r\n"]
)
async def test_chunks_that_are_none_are_broken_off(framing):
    async with RawServer([CHUNKED + framing, Ending.CLOSE]) as server:
        seen = await ask(server)
    assert fault(seen)[0] is Trouble.BROKEN_OFF


async def test_whatever_a_server_says_the_answer_is_a_value():
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
    async with (
        RawServer(*scripts) as server,
        client_of(server.base_url, total_timeout_s=2.0) as client,
    ):
        seen = [await client.fetch(ID, Question.RESULT) for _ in scripts]
    assert all(isinstance(one, Reply | Failure) for one in seen)
    assert {type(one) for one in seen} == {Reply, Failure}
    assert len(server.requests) <= len(scripts)


# --- one fetch, one request ---


@pytest.mark.promise(
    "A kept connection drops without a reply",
    "one request, one failure: nothing is sent again unasked",
)
@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_kept_connection_that_drops_is_not_asked_again_behind_our_back(ending):
    scripts = [[response(b"first")], [ending], [response(b"third")]]
    async with RawServer(*scripts) as server, client_of(server.base_url) as client:
        seen = [await client.fetch(ID, Question.RESULT) for _ in scripts]
        assert len(server.requests) == len(seen)
    assert [getattr(one, "body", one) for one in seen] == [b"first", seen[1], b"third"]
    assert fault(seen[1]) == (Trouble.BROKEN_OFF, Stage.HEADERS)


async def test_a_connection_that_drops_while_idle_costs_nothing():
    async with (
        RawServer([response(b"first"), Ending.CLOSE], [response(b"second")]) as server,
        client_of(server.base_url) as client,
    ):
        first = await client.fetch(ID, Question.RESULT)
        await wait_until(lambda: server.open_connections == 0, "the closing")
        await turns_of_the_loop()
        second = await client.fetch(ID, Question.RESULT)
    assert (first.body, second.body, server.connections) == (b"first", b"second", 2)


# --- no reply is taken for another one's ---


@pytest.mark.promise(
    "The server sends more than its reply", "it is never taken for the reply to another request"
)
@pytest.mark.parametrize(
    "first",
    [
        [response(b"first") + response(b"stray")],
        [response(b"first"), 0.05, response(b"stray")],
        [response(b"first") + response(b"stray")[:30]],
        [response(b"first") + b"and some more than was announced"],
        [response(b"first"), 0.05, b"and some more than was announced"],
    ],
)
async def test_what_a_server_says_beyond_its_reply_never_becomes_the_next_one(first):
    async with (
        RawServer(first, [response(b"next")]) as server,
        client_of(server.base_url) as client,
    ):
        seen = [await client.fetch(ID, Question.RESULT)]
        await wait_until(lambda: server.answered == 1, "the stray bytes")
        await turns_of_the_loop()  # what has arrived is read
        seen += [await client.fetch(ID, Question.RESULT) for _ in range(2)]
    bodies = [one.body if isinstance(one, Reply) else None for one in seen]
    assert bodies[0] in (b"first", None)
    assert bodies[1] in (b"next", None)
    assert bodies[2] == b"next"


# --- time ---


@pytest.mark.promise("The server falls silent", "ends at `read_timeout_s`")
async def test_a_server_that_is_silent_ends_at_the_read_timeout():
    async with RawServer([Ending.SILENCE]) as server:
        seen = await ask(server, read_timeout_s=A_MOMENT_S)
    assert fault(seen) == (Trouble.TIMEOUT, Stage.HEADERS)


async def test_a_server_that_falls_silent_in_its_body_ends_at_the_read_timeout():
    async with RawServer([HEAD + b"\r\nabc", Ending.SILENCE]) as server:
        seen = await ask(server, read_timeout_s=A_MOMENT_S)
    assert fault(seen) == (Trouble.TIMEOUT, Stage.BODY)


@pytest.mark.promise("Headers, body or chunks that drip", "ends at `total_timeout_s`")
@pytest.mark.parametrize(
    ("script", "stage"),
    [
        (dripping(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200), Stage.HEADERS),
        ([HEAD + b"\r\n", *dripping(b"x" * 99)], Stage.BODY),
        ([CHUNKED, *dripping(b"1\r\nx\r\n" * 50)], Stage.BODY),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", 0.05] * 100, Stage.HEADERS),
    ],
    ids=["headers", "body", "chunks", "interim responses"],
)
async def test_a_drip_that_no_read_timeout_ends_ends_at_the_total_timeout(script, stage):
    async with RawServer(script) as server:
        seen = await ask(server, read_timeout_s=1.0, total_timeout_s=A_MOMENT_S)
    assert fault(seen) == (Trouble.TIMEOUT, stage)


async def test_a_request_that_timed_out_does_not_spoil_the_next_one():
    async with (
        RawServer([1.0, response(b"late")], [response(b"next")]) as server,
        client_of(server.base_url, total_timeout_s=A_MOMENT_S) as client,
    ):
        late = await client.fetch(ID, Question.RESULT)
        assert fault(late) == (Trouble.TIMEOUT, Stage.HEADERS)
        assert (await client.fetch(ID, Question.RESULT)).body == b"next"


async def test_as_many_requests_as_there_are_connections_do_not_wait_for_each_other():
    async with (
        RawServer([0.4, response()]) as server,
        client_of(server.base_url, in_flight=20, total_timeout_s=1.5) as client,
    ):
        seen = await asyncio.gather(*(client.fetch(ID, Question.RESULT) for _ in range(20)))
    assert {one.status for one in seen} == {200}


# --- size ---


@pytest.mark.promise("A body without end", "`too_large`; no more is read than the limit")
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
async def test_a_body_beyond_the_limit_is_left_where_it_is(head):
    piece = b"x" * 10_000
    async with RawServer([head, *[piece] * 10_000]) as server:
        seen = await ask(server, max_wire_bytes=50_000)
        assert fault(seen) == (Trouble.TOO_LARGE, Stage.BODY)
        await wait_until(lambda: server.open_connections == 0, "the end of the connection")
    assert server.sent_bytes < 20_000_000  # what the system's buffers took, of 100 MB


async def test_a_body_of_just_the_limit_is_taken():
    async with RawServer([response(b"x" * 50_000)], [response(b"x" * 50_001)]) as server:
        assert (await ask(server, max_wire_bytes=50_000)).body == b"x" * 50_000
        assert fault(await ask(server, max_wire_bytes=50_000))[0] is Trouble.TOO_LARGE
