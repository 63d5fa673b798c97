"""From what the API answers to what is done next, over the real client and over its double.

What is tested is what a fetcher makes of a response, and what the policy makes of that. Transport
has separate tests (tests/faults). Here the session uses aioresponses, without a network.
"""

import asyncio
import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.http import HttpProcessingError
from aioresponses import aioresponses
from support.command import TOKEN
from support.defaults import policy_settings
from support.doubles import ScriptedFetcher
from support.raw_server import Ending, RawServer, client_of, response
from support.waiting import wait_until
from yarl import URL

from cxai.api.session_exchange import SessionExchange
from cxai.api.thin_exchange import ThinExchange
from cxai.policy.reply import Endpoint, Failure, FailureKind, Refusal, Reply
from cxai.policy.step import ApiConditions, Ask, Job, Settle, step
from cxai.policy.table import has_body
from cxai.policy.verdict import OPEN_AGAIN, FailureStage, Verdict

ID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
PATHS = {Endpoint.RESULT: f"{ID}/ai", Endpoint.STATUS: f"{ID}/status"}
RULES = policy_settings(max_attempts=3, retry_after_cap_s=300.0)
API = ApiConditions(now_s=0.0, utc_s=0.0)
DRAW = 0.5
LAST = Job(attempts=RULES.max_attempts - 1)
ASKS_STATUS = (Endpoint.STATUS, Ask())

STATUSES = [200, 201, 204, 206, 226, 300, 301, 304, 308, 400, 401, 402, 403, 404, 405, 406]
WITHOUT_BODY = {204, 304}
STATUSES += [408, 409, 410, 418, 422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 511, 520, 599]


class Response(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 has to answer with, as aiohttp wants it from 3.14 on."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, stream_writer=SimpleNamespace(output_size=0), **kwargs)


class MockedFetcher:
    """The client over a session whose replies the test sets."""

    _BASE = "http://127.0.0.1:9"

    def __init__(self):
        self._api = aioresponses()

    async def __aenter__(self):
        self._api.start()
        self._client = await client_of(self._BASE, open_exchange=SessionExchange).__aenter__()
        return self

    async def __aexit__(self, *exc):
        await self._client.__aexit__(*exc)
        self._api.stop()

    def answer(self, endpoint, reply):
        wait_s, coding = reply.retry_after_s, reply.content_encoding
        headers = {} if wait_s is None else {"Retry-After": f"{wait_s:.0f}"}
        headers |= {"Content-Encoding": coding} if coding else {}
        self._on(endpoint, status=reply.status, body=reply.body, headers=headers)

    def hang(self, endpoint):
        async def wait(*_args, **_kwargs):
            await asyncio.Event().wait()

        self._on(endpoint, callback=wait)

    def _on(self, endpoint, **what):
        url = f"{self._BASE}/v1/interactions/{PATHS[endpoint]}"
        self._api.get(url, response_class=Response, **what)

    async def fetch(self, interaction_id, endpoint):
        return await self._client.fetch(interaction_id, endpoint)

    @property
    def requests(self):
        return sum(map(len, self._api.requests.values()))


class RealFetcher:
    """The client, with an API whose replies the test sets."""

    def __init__(self, open_exchange):
        self._open_exchange = open_exchange
        self._answers = {}
        self._server = RawServer(by_id=self._answers)

    async def __aenter__(self):
        await self._server.__aenter__()
        how = {"open_exchange": self._open_exchange}
        self._client = await client_of(self._server.base_url, **how).__aenter__()
        return self

    async def __aexit__(self, *exc):
        await self._client.__aexit__(*exc)
        await self._server.__aexit__(*exc)

    def answer(self, endpoint, reply, headers=()):
        wait_s, coding = reply.retry_after_s, reply.content_encoding
        more = [] if wait_s is None else [f"Retry-After: {wait_s:.0f}"]
        more += [f"Content-Encoding: {coding}"] if coding else []
        sent = response(reply.body, *more, *headers, status=f"{reply.status} Status")
        self._answers[PATHS[endpoint]] = [sent]

    def hang(self, endpoint):
        self._answers[PATHS[endpoint]] = [Ending.SILENCE]

    async def fetch(self, interaction_id, endpoint):
        return await self._client.fetch(interaction_id, endpoint)

    @property
    def requests(self):
        return len(self._server.requests)


class DoubledFetcher:
    """The double, with the same replies."""

    def __init__(self):
        self._answers = {endpoint: [] for endpoint in Endpoint}
        self._fetcher = ScriptedFetcher({ID: self._next}, latency_s=self._latency_s)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        return

    def _next(self, call):
        return self._answers[call.endpoint].pop(0)

    def _latency_s(self, call):
        return 0 if self._answers[call.endpoint] else 3600

    def answer(self, endpoint, reply):
        self._answers[endpoint].append(reply)

    def hang(self, _question):
        return

    async def fetch(self, interaction_id, endpoint):
        return await self._fetcher.fetch(interaction_id, endpoint)

    @property
    def requests(self):
        return len(self._fetcher.calls)


FETCHERS = {
    "thin": lambda: RealFetcher(ThinExchange),
    "session": MockedFetcher,
    "double": DoubledFetcher,
}


@pytest.fixture(params=FETCHERS)
def fetcher(request):
    return FETCHERS[request.param]()


@pytest.fixture
def client(exchange):
    return RealFetcher(exchange)


# --- what a fetcher promises ---


@pytest.mark.parametrize("endpoint", Endpoint)
@pytest.mark.parametrize("status", STATUSES)
async def test_a_reply_is_returned_with_any_status(fetcher, endpoint, status):
    reply = Reply(status, b"" if status in WITHOUT_BODY else b"body", "gzip", 7.0)
    async with fetcher:
        fetcher.answer(endpoint, reply)
        assert await fetcher.fetch(ID, endpoint) == reply
        assert fetcher.requests == 1


async def test_each_endpoint_has_its_own_reply(fetcher):
    async with fetcher:
        fetcher.answer(Endpoint.STATUS, Reply(200, b"status"))
        fetcher.answer(Endpoint.RESULT, Reply(404))
        assert await fetcher.fetch(ID, Endpoint.RESULT) == Reply(404)
        assert await fetcher.fetch(ID, Endpoint.STATUS) == Reply(200, b"status")


async def test_a_cancelled_request_returns_nothing(fetcher):
    async with fetcher:
        fetcher.hang(Endpoint.RESULT)
        fetching = asyncio.create_task(fetcher.fetch(ID, Endpoint.RESULT))
        await wait_until(lambda: fetcher.requests == 1, "the request")
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching


# --- what follows from a response ---


def judged(seen, job):
    """Return what is asked next and what is decided, as for a reply without a body."""
    if isinstance(seen, Reply):
        seen = Refusal(seen.status, retry_after_s=seen.retry_after_s)
    job, decision = step(job, seen, API, RULES, DRAW)
    return job.endpoint, decision


async def after(fetcher, reply, job=Job()):  # noqa: B008 - it can't be changed
    async with fetcher:
        fetcher.answer(job.endpoint, reply)
        return judged(await fetcher.fetch(ID, job.endpoint), job)


@pytest.mark.promise(
    "204 or 409", "the status is requested, as for a 404, and decides", group="HTTP"
)
@pytest.mark.parametrize("status", [204, 404, 409, 410])
async def test_without_a_result_the_status_is_requested(fetcher, status):
    assert await after(fetcher, Reply(status)) == ASKS_STATUS


@pytest.mark.parametrize("status", [201, 301, 304, 400, 401, 403, 422])
async def test_a_rejection_is_confirmed_by_a_second_request(fetcher, status):
    assert await after(fetcher, Reply(status)) == (Endpoint.RESULT, Ask(0.75))


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_a_temporary_error_is_retried(fetcher, status):
    assert await after(fetcher, Reply(status)) == (Endpoint.RESULT, Ask(0.5))


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_the_last_attempt_leaves_the_id_open_for_the_next_run(fetcher, status):
    _, decision = await after(fetcher, Reply(status), LAST)
    assert decision == Settle(Verdict.EXHAUSTED, f"HTTP {status}", FailureStage.HEADERS)
    assert decision.verdict in OPEN_AGAIN


async def test_a_429_pauses_all_requests(fetcher):
    assert await after(fetcher, Reply(429)) == (Endpoint.RESULT, Ask(0.75, pause_s=0.75))


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_retry_after_pauses_all_requests(fetcher, status):
    _, decision = await after(fetcher, Reply(status, retry_after_s=7.0))
    assert decision == Ask(7.0, pause_s=7.0)


async def test_a_body_is_read_as_it_was_sent(fetcher):
    reply = Reply(200, b"\x1f\x8b not decoded", "gzip")
    async with fetcher:
        fetcher.answer(Endpoint.RESULT, reply)
        seen = await fetcher.fetch(ID, Endpoint.RESULT)
    assert seen == reply
    assert has_body(seen.status)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_status_of_an_unknown_interaction_means_not_found(fetcher, status):
    _, decision = await after(fetcher, Reply(status), Job(Endpoint.STATUS))
    assert decision == Settle(Verdict.NOT_FOUND, "no such interaction", FailureStage.HEADERS)


# --- what only the client can meet ---


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [
        ("0", 0.75),
        ("120", 120.0),
        ("999999999", 300.0),
        ("9" * 5_000, 300.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.75),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ("soon", 0.75),
        ("-5", 0.75),
        ("1e9", 0.75),
        ("", 0.75),
    ],
)
async def test_any_retry_after_becomes_a_bounded_pause(client, header, pause_s):
    async with client:
        client.answer(Endpoint.RESULT, Reply(429), headers=[f"Retry-After: {header}"])
        seen = await client.fetch(ID, Endpoint.RESULT)
    _, decision = judged(seen, Job())
    assert decision == Ask(pause_s, pause_s=pause_s)


@pytest.mark.parametrize("header", ["soon", "-5", ""])
async def test_a_503_with_an_invalid_retry_after_is_an_error(client, header):
    async with client:
        client.answer(Endpoint.RESULT, Reply(503), headers=[f"Retry-After: {header}"])
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert judged(seen, Job()) == (Endpoint.RESULT, Ask(0.5))


def invented(status):
    """Return what aiohttp raises for a response that it can't parse, with an invented status."""
    request = aiohttp.RequestInfo(
        URL("http://127.0.0.1:9"),
        "GET",
        {"X-API-Token": TOKEN},
        URL("http://127.0.0.1:9"),  # it holds the token, too
    )
    return aiohttp.ClientResponseError(request, (), status=status, message="Bad status line")


class FailingExchange:
    """A way to send on which each request fails before it has a connection."""

    def __init__(self, error):
        self._error = error

    async def send(self, _target, _passage):
        raise self._error

    async def close(self):
        return


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        aiohttp.ServerTimeoutError(),
        aiohttp.ConnectionTimeoutError(),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError(104, "reset"),
        aiohttp.ClientPayloadError(),
        ConnectionResetError(),
        ssl.SSLError(),
        invented(400),
        invented(401),
        invented(404),
        HttpProcessingError(code=404, message="Bad status line"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_failure_before_the_connection_is_not_an_attempt(error):
    how = {"open_exchange": lambda *_: FailingExchange(error)}
    async with client_of("http://127.0.0.1:9", **how) as client:
        seen = await client.fetch(ID, Endpoint.RESULT)
    assert isinstance(seen, Failure)
    assert (seen.kind, seen.stage) == (FailureKind.NO_CONNECTION, FailureStage.CONNECT)
    assert TOKEN not in repr(seen)
    then, decision = step(LAST, seen, API, RULES, DRAW)
    assert then == LAST
    assert isinstance(decision, Ask)
