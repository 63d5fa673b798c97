"""Connections: which are reused, which failure is an attempt, and whose reply is whose."""

import asyncio
import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from support.certificate import CA, server_context
from support.command import TOKEN
from support.raw_server import Ending, RawServer, client_of, response
from support.serving import serving
from support.waiting import wait_until, wait_until_blocking

from cxai.policy.reply import Endpoint, Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage

pytestmark = pytest.mark.usefixtures("exchange")


ID, OTHER = "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3302"

NO_REPLY = "the server had closed the kept connection"


def fault(seen):
    """Return the kind and stage of a failure; fail if it is a reply."""
    assert isinstance(seen, Failure), seen
    assert TOKEN not in seen.reason
    return seen.kind, seen.stage


async def ask(server, endpoint=Endpoint.RESULT, **limits):
    async with asyncio.timeout(4.0), client_of(server.base_url, **limits) as client:
        return await client.fetch(ID, endpoint)


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
    "not an attempt of any ID, like a refused connection; ends at `connect_timeout_s`",
    group="HTTP",
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_fails_is_not_an_attempt(scheme):
    with deaf() as port:
        async with client_of(f"{scheme}://127.0.0.1:{port}", connect_timeout_s=0.2) as client:
            seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )
    assert "firewall" in seen.advice


async def test_a_tls_handshake_that_does_not_end_is_not_an_attempt():
    async with RawServer([Ending.SILENCE]) as server:  # waits for an HTTP head
        url = f"https://127.0.0.1:{server.port}"
        async with client_of(url, connect_timeout_s=0.2) as client:
            seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )


async def test_a_name_server_that_does_not_reply_is_not_an_attempt(monkeypatch):
    async def never(*_args, **_kwargs):
        await asyncio.Event().wait()

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", never)
    async with client_of("https://api.elevateai.invalid", connect_timeout_s=0.2) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )


async def test_the_total_timeout_includes_connecting():
    with deaf() as port:
        async with client_of(f"http://127.0.0.1:{port}", total_timeout_s=0.2) as client:
            seen = await client.fetch(ID, Endpoint.RESULT)
    assert seen == Failure(
        FailureKind.NO_CONNECTION, FailureStage.CONNECT, "no connection within 0.2 s"
    )


@pytest.mark.promise(
    "A kept connection drops without a reply",
    "not an attempt, and nothing is resent automatically; the retry uses a new connection",
    group="HTTP",
)
@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_retry_after_a_dropped_connection_uses_a_new_one(ending):
    scripts = [[response(b"first")], [ending], [response(b"third")]]
    async with RawServer(*scripts) as server, client_of(server.base_url) as client:
        seen = [await client.fetch(ID, Endpoint.RESULT) for _ in scripts]
        assert len(server.requests) == len(seen)
        assert server.connections == 2
    assert [getattr(one, "body", one) for one in seen] == [b"first", seen[1], b"third"]
    assert seen[1] == Failure(FailureKind.NO_CONNECTION, FailureStage.HEADERS, NO_REPLY)


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_new_connection_that_drops_without_a_reply_is_an_attempt(ending):
    async with RawServer([ending]) as server:
        seen = await ask(server)
    assert (seen.kind, seen.stage) == (FailureKind.BROKEN_OFF, FailureStage.HEADERS)


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_kept_connection_that_drops_within_a_reply_is_an_attempt(ending):
    cut = [b"HTTP/1.1 200 OK\r\nContent-", 0.05, ending]
    async with (
        RawServer([response()], cut) as server,
        client_of(server.base_url) as client,
    ):
        await client.fetch(ID, Endpoint.RESULT)
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert (seen.kind, seen.stage) == (FailureKind.BROKEN_OFF, FailureStage.HEADERS)


@pytest.mark.parametrize("sign", [Ending.RESET, Ending.SILENCE], ids=["reset", "silent"])
async def test_after_one_dead_connection_no_other_kept_one_is_used(sign):
    """The restart of a server or a router usually drops the whole pool."""
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


async def test_an_id_that_always_drops_its_connection_gets_one_free_retry():
    scripts = {ID: [Ending.CLOSE], OTHER: [response()]}
    async with RawServer(by_id=scripts) as server, client_of(server.base_url) as client:
        seen = []
        for _ in range(3):
            await client.fetch(OTHER, Endpoint.RESULT)  # leaves a connection behind
            seen.append((await client.fetch(ID, Endpoint.RESULT)).kind)
    assert seen == [FailureKind.NO_CONNECTION, FailureKind.BROKEN_OFF, FailureKind.BROKEN_OFF]
    assert server.times_asked(ID) == 3


async def test_a_request_on_a_dead_connection_is_paced_too():
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
def test_a_request_is_sent_in_the_same_turn_of_the_loop_as_its_slot(scheme):
    """LocalLimiter.send_slot relies on this."""
    received = []

    def receive(listener):
        connection, _ = listener.accept()
        if scheme == "https":
            connection = server_context().wrap_socket(connection, server_side=True)
        with connection:
            return connection.recv(len("GET"))

    async def fetch(listener):
        receiving = aside.submit(receive, listener)

        async def send_slot():
            # Blocks the loop, so that only what has been sent by now is received.
            loop.call_soon(lambda: received.append(receiving.result(timeout=2.0)))

        loop, base_url = asyncio.get_running_loop(), f"{scheme}://localhost:{port}"
        async with client_of(base_url, send_slot=send_slot, ca_file=CA) as client:
            await client.fetch(ID, Endpoint.RESULT)

    with ThreadPoolExecutor(1) as aside, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5.0)
        port = listener.getsockname()[1]
        uvloop.run(fetch(listener))  # as the product does
    assert received == [b"GET"]


@contextlib.asynccontextmanager
async def waiting_to_send(server):
    """Yield a client, its request that waits on a connection, and the event that lets it go."""
    may_send = asyncio.Event()
    async with client_of(server.base_url, send_slot=may_send.wait) as client:
        fetching = asyncio.create_task(client.fetch(ID, Endpoint.RESULT))
        await wait_until(lambda: server.open_connections == 1, "the connection")
        yield client, fetching, may_send


async def turns_of_the_loop():
    for _ in range(10):  # reads what has arrived
        await asyncio.sleep(0)


async def test_a_connection_that_drops_before_its_request_is_sent_is_not_an_attempt():
    async with (
        RawServer([response(b"at last")]) as server,
        waiting_to_send(server) as (client, fetching, may_send),
    ):
        server.drop()
        await wait_until(lambda: server.open_connections == 0, "its end")
        await turns_of_the_loop()
        may_send.set()
        assert await fetching == Failure(FailureKind.NO_CONNECTION, FailureStage.HEADERS, NO_REPLY)
        assert server.requests == []
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"at last"


@pytest.mark.parametrize("data", [response(b"unasked"), response(b"unasked")[:20]])
async def test_data_that_arrives_before_a_request_is_sent_is_not_its_reply(data):
    async with (
        RawServer([response(b"at last")]) as server,
        waiting_to_send(server) as (client, fetching, may_send),
    ):
        server.push(data)
        await turns_of_the_loop()
        may_send.set()
        assert await fetching == Failure(FailureKind.NO_CONNECTION, FailureStage.HEADERS, NO_REPLY)
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"at last"


async def test_unread_data_on_a_new_connection_is_not_the_reply_to_its_first_request():
    async def send_slot():
        if server.connections == 1:
            server.push(response(b"unasked"))  # sent at once; the loop has no time to read it

    async with (
        RawServer([response(b"at last")]) as server,
        client_of(server.base_url, send_slot=send_slot) as client,
    ):
        first = await client.fetch(ID, Endpoint.RESULT)
        assert first == Failure(FailureKind.NO_CONNECTION, FailureStage.HEADERS, NO_REPLY)
        assert (await client.fetch(ID, Endpoint.RESULT)).body == b"at last"


async def test_a_connection_that_drops_while_idle_has_no_effect():
    async with (
        RawServer([response(b"first"), Ending.CLOSE], [response(b"second")]) as server,
        client_of(server.base_url) as client,
    ):
        first = await client.fetch(ID, Endpoint.RESULT)
        await wait_until(lambda: server.open_connections == 0, "the closing")
        await turns_of_the_loop()
        second = await client.fetch(ID, Endpoint.RESULT)
    assert (first.body, second.body, server.connections) == (b"first", b"second", 2)


@pytest.mark.promise(
    "The server sends more than its reply, before the next request is sent",
    "it is never the reply to that (if it arrives later, HTTP/1.1 can't distinguish it)",
    group="HTTP",
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
async def test_data_after_a_reply_never_becomes_the_next_reply(first):
    async with (
        RawServer(first, [response(b"next")]) as server,
        client_of(server.base_url) as client,
    ):
        seen = [await client.fetch(ID, Endpoint.RESULT)]
        await wait_until(lambda: server.answered == 1, "the stray bytes")
        await turns_of_the_loop()  # reads what has arrived
        seen += [await client.fetch(ID, Endpoint.RESULT) for _ in range(2)]
    bodies = [one.body if isinstance(one, Reply) else None for one in seen]
    assert bodies[0] in (b"first", None)
    assert bodies[1] in (b"next", None)
    assert bodies[2] == b"next"


async def test_data_that_has_arrived_but_is_not_read_yet_never_becomes_the_next_reply():
    first = [response(b"first"), 0.05, response(b"stray")]
    with serving(RawServer(first, [response(b"next")])) as server:
        async with client_of(server.base_url) as client:
            await client.fetch(ID, Endpoint.RESULT)
            wait_until_blocking(lambda: server.answered == 1)  # the loop reads nothing meanwhile
            seen = await client.fetch(ID, Endpoint.RESULT)
            assert fault(seen) == (FailureKind.NO_CONNECTION, FailureStage.HEADERS)
            assert (await client.fetch(ID, Endpoint.RESULT)).body == b"next"
    assert len(server.requests) == 2
