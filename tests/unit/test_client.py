"""One request to the API: what is sent and to which host, with both exchanges."""

import asyncio
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from support.command import TOKEN
from support.raw_server import Ending, RawServer, client_of, header, response
from support.waiting import wait_until

from cxai import __version__
from cxai.api.token import Token
from cxai.core.secret_str import SecretStr
from cxai.errors import UsageError
from cxai.policy.reply import Endpoint, FailureKind, Reply

ID = "3F2504E0-4f89-11d3-9a0c-0305e82c3301"

pytestmark = pytest.mark.usefixtures("exchange")


def request_lines(server):
    return [request.partition("\r\n")[0] for request in server.requests]


async def ask(server, endpoint=Endpoint.RESULT, base_url=None, interaction_id=ID):
    async with client_of(base_url or server.base_url) as client:
        return await client.fetch(interaction_id, endpoint)


async def test_each_endpoint_has_its_path_which_contains_the_id_as_given():
    async with RawServer([response()]) as server, client_of(server.base_url) as client:
        for interaction_id in (ID, "call~17_a.b-C", "%41%2e%7E"):
            for endpoint in Endpoint:
                await client.fetch(interaction_id, endpoint)
    assert request_lines(server) == [
        f"GET /v1/interactions/{ID}/ai HTTP/1.1",
        f"GET /v1/interactions/{ID}/status HTTP/1.1",
        "GET /v1/interactions/call~17_a.b-C/ai HTTP/1.1",
        "GET /v1/interactions/call~17_a.b-C/status HTTP/1.1",
        "GET /v1/interactions/%41%2e%7E/ai HTTP/1.1",
        "GET /v1/interactions/%41%2e%7E/status HTTP/1.1",
    ]


async def test_every_allowed_character_of_an_id_is_sent_unchanged():
    odd = ["~", "-._~", "a..b", "...a", "%2e%2e", "%0d%0a", "%", "%zz", "a" * 256]
    async with RawServer([response()]) as server, client_of(server.base_url) as client:
        for interaction_id in odd:
            await client.fetch(interaction_id, Endpoint.RESULT)
    assert request_lines(server) == [f"GET /v1/interactions/{one}/ai HTTP/1.1" for one in odd]


CHANGING = [
    "",
    ".",
    "..",
    "a b",
    "a/b",
    "a?b",
    "a#b",
    '"',
    "'",
    "a\r\nX: y",
    "a\n",
    "\0",
    "ä",
    "a;b",
]


async def test_an_id_that_would_change_the_request_is_not_sent():
    async with RawServer([response()]) as server, client_of(server.base_url) as client:
        for interaction_id in CHANGING:
            with pytest.raises(ValueError, match="would change the URL"):
                await client.fetch(interaction_id, Endpoint.RESULT)
    assert server.connections == 0


async def test_the_path_of_a_result_is_configurable():
    async with (
        RawServer([response()]) as server,
        client_of(server.base_url, result_path="gen-ai/cx/summary") as client,
    ):
        for endpoint in Endpoint:
            await client.fetch(ID, endpoint)
    assert request_lines(server) == [
        f"GET /v1/interactions/{ID}/gen-ai/cx/summary HTTP/1.1",
        f"GET /v1/interactions/{ID}/status HTTP/1.1",
    ]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("", "/v1/"),
        ("/", "/v1/"),
        ("/api", "/api/v1/"),
        ("/api/", "/api/v1/"),
        ("/a%2Fb/c", "/a%2Fb/c/v1/"),
        ("/v1", "/v1/"),
        ("/v1/", "/v1/"),
        ("/api/v1", "/api/v1/"),
    ],
)
async def test_a_base_url_may_have_a_path(given, asked):
    async with RawServer([response()]) as server:
        await ask(server, base_url=server.base_url + given)
    assert request_lines(server) == [f"GET {asked}interactions/{ID}/ai HTTP/1.1"]


async def test_a_request_has_these_headers_and_no_others():
    async with RawServer([response()]) as server:
        await ask(server)
    (request,) = server.requests
    assert request.split("\r\n")[1:] == [
        f"Host: 127.0.0.1:{server.port}",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate, br",
        f"User-Agent: cxai-worker/{__version__}",
        f"X-API-Token: {TOKEN}",
        "",
        "",
    ]


async def test_a_renewed_token_is_sent_with_the_next_request(tmp_path):
    file = tmp_path / "token"
    token = Token(SecretStr(TOKEN), file)
    async with (
        RawServer([response()]) as server,
        client_of(server.base_url, token=token) as client,
    ):
        await client.fetch(ID, Endpoint.RESULT)
        file.write_text("another-token")
        assert client.renew()
        await client.fetch(ID, Endpoint.RESULT)
    sent = [header(request, "X-API-Token") for request in server.requests]
    assert sent == [[TOKEN], ["another-token"]]


async def test_a_connection_is_kept_for_the_next_request():
    async with RawServer([response()]) as server, client_of(server.base_url) as client:
        for _ in range(3):
            await client.fetch(ID, Endpoint.RESULT)
    assert (len(server.requests), server.connections) == (3, 1)


class NotNowError(Exception):
    pass


async def test_without_a_send_slot_nothing_is_sent_and_the_new_connection_is_kept():
    may_leave = iter([True, True, False, True])

    async def send_slot():
        if not next(may_leave):
            raise NotNowError

    dropped = [Ending.CLOSE]  # so that a fresh connection is wanted next
    async with (
        RawServer([response()], dropped, [response(b"last")]) as server,
        client_of(server.base_url, send_slot=send_slot) as client,
    ):
        await client.fetch(ID, Endpoint.RESULT)
        await client.fetch(ID, Endpoint.RESULT)
        with pytest.raises(NotNowError):
            await client.fetch(ID, Endpoint.RESULT)
        seen = await client.fetch(ID, Endpoint.RESULT)
        assert (len(server.requests), server.connections) == (3, 2)
    assert seen == Reply(200, b"last")


# --- what comes back ---


async def test_a_reply_contains_the_body_as_sent():
    sent = response(b"not gzip at all", "Content-Encoding: gzip", status="418 I'm a teapot")
    async with RawServer([sent]) as server:
        seen = await ask(server)
    assert seen == Reply(418, b"not gzip at all", "gzip")


@pytest.mark.parametrize(
    "sent", [response(), response(status="204 No Content"), b"HTTP/1.1 204 No Content\r\n\r\n"]
)
async def test_no_body_is_an_empty_body(sent):
    async with RawServer([sent]) as server:
        seen = await ask(server)
    assert seen == Reply(int(sent.split()[1]), b"")


async def test_codings_in_several_headers_are_combined():
    sent = response(b"x", "Content-Encoding: br", "Content-Encoding: gzip")
    async with RawServer([sent]) as server:
        seen = await ask(server)
    assert seen.content_encoding == "br, gzip"  # RFC 9110, 5.3: lines of one name are a list


async def test_retry_after_is_returned_in_seconds():
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    scripts = [
        [response(b"", *wait, status="503 Busy")]
        for wait in (["Retry-After: 7"], [f"Retry-After: {later}"], ["Retry-After: soon"], [])
    ]
    async with RawServer(*scripts) as server, client_of(server.base_url) as client:
        waits = [(await client.fetch(ID, Endpoint.RESULT)).retry_after_s for _ in scripts]
    assert waits == [7.0, pytest.approx(3600, abs=60), None, None]


# --- to whom it is not said ---


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_the_other_host_sees_nothing(status):
    async with RawServer([response(b'{"stolen": true}')]) as other:
        moved = response(b"", f"Location: {other.base_url}/", status=f"{status} Elsewhere")
        async with RawServer([moved]) as server:
            seen = await ask(server)
    assert seen == Reply(status, b"")
    assert (other.connections, len(server.requests)) == (0, 1)


@pytest.mark.promise("A cookie of the server", "not sent back", group="Security")
async def test_cookies_are_not_sent_back():
    sent = response(b"", "Set-Cookie: session=1; Path=/")
    async with RawServer([sent]) as server, client_of(server.base_url) as client:
        for _ in range(2):
            await client.fetch(ID, Endpoint.RESULT)
    assert [header(request, "Cookie") for request in server.requests] == [[], []]


@pytest.mark.promise(
    "A proxy in the environment",
    "not used",
    group="Security",
)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_in_the_environment_is_not_used(name, monkeypatch):
    async with RawServer([response()]) as proxy, RawServer([response(b"direct")]) as server:
        monkeypatch.setenv(name, proxy.base_url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        seen = await ask(server)
    assert seen.body == b"direct"
    assert proxy.connections == 0


@pytest.mark.promise("Credentials in `.netrc`", "not sent", group="Security")
async def test_credentials_of_a_netrc_file_are_not_sent(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with RawServer([response()]) as server:
        await ask(server)
    assert header(server.requests[0], "Authorization") == []


@pytest.mark.parametrize(
    "spelling",
    [TOKEN, TOKEN.upper(), TOKEN.replace("-", ""), TOKEN.replace("-", "%2D")],
    ids=["as it is", "in capitals", "without hyphens", "percent-encoded"],
)
async def test_an_id_that_is_the_token_is_not_sent_and_not_shown(spelling):
    async with RawServer([response()]) as server:
        with pytest.raises(UsageError, match="contains the API token as an ID") as raised:
            await ask(server, interaction_id=spelling)
    assert server.connections == 0
    assert spelling not in str(raised.value)


def test_a_base_url_that_contains_the_token_is_refused_and_not_shown():
    with pytest.raises(UsageError, match="base_url contains the API token") as raised:
        client_of(f"https://api.example.com/{TOKEN}")
    assert TOKEN not in str(raised.value)


@pytest.mark.promise(
    "A token, renewed during a run, that is among the IDs",
    "the run stops with code 2 before it is sent, and does not show it",
    group="Security",
)
async def test_an_id_that_becomes_the_token_by_renewal_is_not_sent(tmp_path):
    file = tmp_path / "token"
    file.write_text(ID)
    token = Token(SecretStr(TOKEN), file)
    async with (
        RawServer([response()]) as server,
        client_of(server.base_url, token=token) as client,
    ):
        await client.fetch(ID, Endpoint.RESULT)
        assert client.renew()
        with pytest.raises(UsageError, match="contains the API token as an ID"):
            await client.fetch(ID.upper(), Endpoint.RESULT)
    assert len(server.requests) == 1


def shown(thing):
    """Return what prints of an object, and of all of ours that it holds."""
    is_ours = type(thing).__module__.startswith("cxai.api")
    inner = vars(thing).values() if is_ours and hasattr(thing, "__dict__") else ()
    return repr(thing) + "".join(shown(one) for one in inner)


async def test_the_token_is_in_no_repr():
    async with RawServer([response()]) as server, client_of(server.base_url) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
        assert TOKEN not in shown(client) + repr(seen)


async def test_the_token_is_in_no_variable_of_a_traceback():
    async with RawServer([Ending.SILENCE]) as server, client_of(server.base_url) as client:
        fetching = asyncio.create_task(client.fetch(ID, Endpoint.RESULT))
        await wait_until(lambda: server.requests, "the request")
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError) as raised:
            await fetching
    variables = [repr(frame.f_locals) for frame, _ in traceback.walk_tb(raised.tb)]
    assert len(variables) > 3
    # The last is this function's own: its server has the request, with the token.
    assert not any(TOKEN in each for each in variables if "RawServer" not in each)


async def test_a_cancelled_request_closes_its_connection():
    script = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Ending.SILENCE]
    for steps in ([Ending.SILENCE], script):
        async with RawServer(steps, [response()]) as server, client_of(server.base_url) as client:
            fetching = asyncio.create_task(client.fetch(ID, Endpoint.RESULT))
            await wait_until(lambda: server.requests, "the request")
            fetching.cancel()
            await wait_until(lambda: not server.open_connections, "the closing")
            assert (await client.fetch(ID, Endpoint.RESULT)).status == 200
            assert server.connections == 2


async def test_a_request_past_its_deadline_is_not_sent():
    async def send_slot():
        await asyncio.sleep(0.05)

    limits = {"send_slot": send_slot, "total_timeout_s": 0.02}
    async with RawServer([response()]) as server, client_of(server.base_url, **limits) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
        again = await client.fetch(ID, Endpoint.RESULT)  # over the connection that was not used
    assert (seen.kind, again.kind) == (FailureKind.NO_CONNECTION, FailureKind.NO_CONNECTION)
    assert seen.reason == "no connection within 0.02 s"
    assert (server.requests, server.connections) == ([], 1)


async def test_the_deadline_of_a_request_does_not_affect_later_ones():
    scripts = [[response()], [0.5, response(b"later")]]
    limits = {"in_flight": 1, "total_timeout_s": 1.0}
    async with RawServer(*scripts) as server, client_of(server.base_url, **limits) as client:
        await client.fetch(ID, Endpoint.RESULT)
        await asyncio.sleep(0.6)  # the time of the first would be over within the second
        assert await client.fetch(ID, Endpoint.RESULT) == Reply(200, b"later")
    assert server.connections == 1
