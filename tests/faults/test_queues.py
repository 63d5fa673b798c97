"""Queues as a source: what goes wrong with Redis streams and SQS, against real servers."""

import asyncio
import os
import signal
import time
from contextlib import aclosing, asynccontextmanager
from functools import partial

import orjson
import pytest
from support.certificate import CA, server_context
from support.command import cxai, environment, rows, verdicts
from support.defaults import source_options
from support.raw_server import Ending, RawServer, response
from support.redis_server import redis_server
from support.running import ended, running, wait_for_line
from support.serving import serving
from support.sqs import SqsServer
from support.tripwire import Tripwire
from support.waiting import PATIENCE_S, wait_until, wait_until_blocking

from cxai.core.entry import IdRule
from cxai.core.secret_str import SecretStr
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.registry import open_source

pytestmark = pytest.mark.long(40)

OTHER = "another-consumer"
PASSWORD = "CXAI_REDIS_PASSWORD"  # noqa: S105 - the name of a variable


@asynccontextmanager
async def opened(name, **options):
    """Open a source as a run does, and close it."""
    source = open_source([name], source_options(IdRule(), **{"until_idle_s": 0.1, **options}))
    async with source:
        yield source


async def taken(name, **options):
    """Return all entries of a queue, acknowledged batch by batch as a run does."""
    entries = []
    async with opened(name, **options) as source:
        async for batch in source.batches():
            entries += batch
            await source.acknowledge(batch)
    return entries


def ids_of(entries):
    return [entry.id for entry in entries]


def written(export):
    """Return how many IDs have a line."""
    return sum(len(rows(export, part, sealed_only=False)) for part in ("records", "failures"))


def events(noticed):
    return [event for event, _ in noticed]


class Noticed(list):
    """The events that a source would log."""

    def __call__(self, event, **values):
        self.append((event, values))


@pytest.fixture
def sqs(moto, monkeypatch):
    server = SqsServer(moto)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


# --- from the command line ---


def run_to_idle(api, export, name, *arguments, until_idle="0.2", **env):
    return cxai(
        "run", name, "-o", export, "--base-url", api.base_url, "--rate", "1000",
        "--until-idle", until_idle, *arguments, env=environment(**env),
    )  # fmt: skip


def test_a_stream_goes_into_an_export_with_one_command(shared_redis, stream, ids, api, export):
    shared_redis.send(stream, *ids, ids[0], ids[1].upper())
    run = run_to_idle(api, export, shared_redis.url(stream))
    assert run.code == 0, run.err
    assert verdicts(export).total() == len(ids)
    assert "2 duplicates" in run.out + run.err
    assert shared_redis.pending(stream) == 0
    again = run_to_idle(api, export, shared_redis.url(stream), "--allow-empty")
    assert again.code == 0, again.err


def test_a_queue_of_sqs_goes_into_an_export_with_one_command(sqs, ids, api, export):
    url = sqs.queue()
    sqs.send(url, *ids, ids[0])
    run = run_to_idle(api, export, sqs.name_of(url), **sqs.environment)
    assert run.code == 0, run.err
    assert verdicts(export).total() == len(ids)
    assert sqs.left(url) == 0


async def test_a_fifo_queue_of_another_account_and_region_is_read(sqs, ids, monkeypatch):
    url = sqs.queue(suffix=".fifo", FifoQueue="true", ContentBasedDeduplication="true")
    sqs.send(url, *ids, MessageGroupId="night")
    monkeypatch.delenv("AWS_REGION")
    name = f"sqs://123456789012/{url.rpartition('/')[2]}?region=eu-central-1"
    assert ids_of(await taken(name)) == ids
    assert sqs.left(url) == 0


@pytest.mark.promise(
    "Messages of a queue that hold no ID: no JSON, no such field, bytes, nothing",
    "each is listed once as `invalid_id` with queue and message, and acknowledged",
    group="Input",
)
def test_messages_that_hold_no_id_are_listed_with_their_origin(
    shared_redis, stream, ids, api, export
):
    unreadable = ["?", "?", b"\xff\x00", "{", "{}", ""]
    shared_redis.send(stream, *ids[:3], *unreadable, orjson.dumps({"interaction_id": ids[3]}))
    run = run_to_idle(api, export, shared_redis.url(stream))
    assert run.code == 1
    listed = [row for row in rows(export, "failures") if row["verdict"] == "invalid_id"]
    assert len({(row["source"], row["line"]) for row in listed}) == len(unreadable)
    assert all(row["source"].startswith(f"{shared_redis.url(stream)}#") for row in listed)
    assert shared_redis.pending(stream) == 0
    assert verdicts(export).total() == 4 + len(unreadable)


@pytest.mark.promise(
    "A run that reads a queue is stopped while it waits for messages",
    "it ends at once, though its call would wait for up to 20 seconds",
    group="Shutdown",
)
@pytest.mark.parametrize("kind", ["redis", "sqs"])
def test_a_stop_ends_a_long_poll_at_once(kind, shared_redis, stream, moto, ids, api, export):
    if kind == "redis":
        name, env = shared_redis.url(stream), environment()
        shared_redis.send(stream, *ids)
        left = partial(shared_redis.pending, stream)
    else:
        sqs = SqsServer(moto)
        url = sqs.queue()
        sqs.send(url, *ids)
        name, env, left = sqs.name_of(url), environment(**sqs.environment), partial(sqs.left, url)
    with running(api, export, (), name, env=env) as run:
        wait_until_blocking(lambda: written(export) == len(ids), "a line for each ID")
        assert left() == 0
        run.send_signal(signal.SIGTERM)
        stopped_at = time.monotonic()
        code, _, _ = ended(run)
    assert time.monotonic() - stopped_at < 10
    assert code == 4
    assert verdicts(export).total() == len(ids)


@pytest.mark.parametrize(
    ("name", "why"),
    [("no stream", "that key is no stream"), ("sqs://no-such-queue", "there is no such queue")],
)
def test_what_is_no_queue_is_refused_before_anything_is_created(
    name, why, sqs, shared_redis, export, api
):
    shared_redis("SET", "no-stream", "1")
    name = shared_redis.url("no-stream") if name == "no stream" else name
    run = run_to_idle(api, export, name, **sqs.environment)
    assert (run.code, why in run.err) == (2, True), run.err
    assert "Traceback" not in run.err
    assert not export.exists()


async def test_a_queue_without_a_region_is_refused_with_where_to_write_it(sqs, monkeypatch):
    assert sqs
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    with pytest.raises(UsageError, match="Set AWS_REGION, or write it behind the name"):
        await taken("sqs://ids")


async def test_a_queue_without_credentials_is_refused_with_where_they_come_from(sqs, monkeypatch):
    url = sqs.queue()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UsageError, match="there are no credentials"):
        await taken(sqs.name_of(url))


def test_verify_takes_no_queue(shared_redis, stream, export):
    run = cxai("verify", export, shared_redis.url(stream))
    assert (run.code, "An input to verify has to end" in run.err) == (2, True)


# --- the login ---


@pytest.mark.promise(
    "Redis refuses the password, or wants one",
    "exit code 2 before anything is created, with where it comes from; it is never shown",
    group="Security",
)
async def test_a_wrong_password_is_refused_and_not_shown(tmp_path):
    with redis_server(tmp_path / "redis", "--requirepass", "the-right-one") as server:
        for password in (None, SecretStr("another-one")):
            with pytest.raises(
                UsageError, match=r"refuses the login.*CXAI_REDIS_PASSWORD"
            ) as raised:
                await taken(server.url("ids"), redis_password=password)
            assert "another-one" not in str(raised.value)


def test_the_right_password_is_shown_nowhere(tmp_path, ids, api, export):
    secret = "s3cret-of-redis-77"  # noqa: S105 - a test's
    (tmp_path / "password").write_text(f"{secret}\n")
    with redis_server(tmp_path / "redis", "--requirepass", secret) as server:
        with server.client(password=secret) as client:
            for one in [*ids, f"{secret} is no ID", "?"]:
                client.xadd("ids", {"id": one})
        of_file = {f"{PASSWORD}_FILE": str(tmp_path / "password"), PASSWORD: "another-one"}
        run = run_to_idle(api, export, server.url("ids"), **of_file)
    assert run.code == 1, run.err  # two messages hold no ID
    assert verdicts(export).total() == len(ids) + 2
    assert secret not in run.out + run.err + "".join(map(str, rows(export, "failures")))


async def test_an_encrypted_connection_is_trusted_by_its_ca_alone(own_redis, ids):
    own_redis.send("ids", *ids)
    async with Tripwire(own_redis.port, tls=server_context("good")) as proxy:
        url = f"rediss://localhost:{proxy.port}/0/ids"
        assert ids_of(await taken(f"{url}?ca_file={CA}")) == ids
        with pytest.raises(UsageError, match=r"its certificate is not trusted: .* \?ca_file="):
            await taken(url)


# --- Redis: outages ---


@pytest.mark.promise(
    "Redis is restarted while its stream is read, or is not there when the run starts",
    "named in the log; waited for, `queue_patience_s` at most; the run picks up where it left off",
    group="Input",
)
def test_a_server_that_is_not_there_yet_or_restarted_is_waited_for(own_redis, ids, api, export):
    own_redis.send("ids", *ids)
    own_redis.kill()
    with running(api, export, (), own_redis.url("ids"), "--until-idle", "1.5") as run:
        wait_for_line(run, "queue_unreachable")
        own_redis.start()
        wait_for_line(run, "queue_reachable")
        wait_until_blocking(lambda: written(export) == len(ids), "a line for each ID")
        own_redis.kill()
        wait_for_line(run, "queue_unreachable")
        own_redis.start()
        own_redis.send("ids", "the last one")
        code, _, _ = ended(run)
    assert code == 1  # for the message that holds no ID
    assert verdicts(export).total() == len(ids) + 1
    assert own_redis.pending("ids") == 0


async def test_a_server_that_stays_away_breaks_the_input_when_patience_is_over(own_redis, ids):
    own_redis.send("ids", *ids)
    url = own_redis.url("ids")
    async with opened(url, patience_s=0.3) as source, aclosing(source.batches()) as batches:
        await source.acknowledge(await anext(batches))
        own_redis.kill()
        with pytest.raises(InputBrokenError, match="could not be reached for"):
            await anext(batches)


async def test_what_came_in_a_reply_that_was_lost_comes_again_after_the_outage(own_redis, ids):
    own_redis.send("ids", *ids)
    options = {"notice": (noticed := Noticed()), "until_idle_s": None}
    async with (
        opened(own_redis.url("ids"), **options) as source,
        aclosing(source.batches()) as batches,
    ):
        first = await anext(batches)  # and no acknowledgement: as if it had not arrived
        own_redis.kill()
        own_redis.start()
        async with asyncio.timeout(PATIENCE_S):
            second = await anext(batches)
        await source.acknowledge(second)
    assert ids_of(first) == ids_of(second) == ids
    assert own_redis.pending("ids") == 0
    assert events(noticed) == ["queue_group_created", "queue_unreachable", "queue_reachable"]


async def test_an_acknowledgement_outlasts_a_restart(own_redis, ids):
    own_redis.send("ids", *ids)
    async with opened(own_redis.url("ids")) as source:
        async for batch in source.batches():
            own_redis.kill()
            own_redis.start()
            await source.acknowledge(batch)
    assert own_redis.pending("ids") == 0


async def test_a_failover_is_an_outage_that_passes(own_redis, ids):
    noticed = Noticed()
    own_redis.send("ids", *ids)
    url = own_redis.url("ids")
    async with opened(url, notice=noticed) as source, aclosing(source.batches()) as batches:
        own_redis("REPLICAOF", "127.0.0.1", "1")
        reading = asyncio.create_task(anext(batches))
        await wait_until(lambda: "queue_unreachable" in events(noticed), "the outage")
        own_redis("REPLICAOF", "NO", "ONE")
        assert ids_of(await reading) == ids
    assert any("READONLY" in str(values) or "write" in str(values) for _, values in noticed)


async def test_a_server_that_takes_connections_and_does_not_reply_is_an_outage():
    noticed = Noticed()
    with serving(RawServer([Ending.SILENCE])) as server:
        async with opened(f"redis://127.0.0.1:{server.port}/0/ids", notice=noticed):
            pass
    assert [(event, values["reason"]) for event, values in noticed] == [
        ("queue_unreachable", "it does not reply")
    ]


# --- Redis: other consumers ---


async def test_what_this_consumer_was_given_before_comes_first(shared_redis, stream, ids):
    url = shared_redis.url(stream, "?consumer=me")
    shared_redis.send(stream, *ids[:5])
    async with opened(url) as source, aclosing(source.batches()) as batches:
        await anext(batches)  # killed, so to say, before it could be acknowledged
    shared_redis.send(stream, *ids[5:])
    assert ids_of(await taken(url)) == ids


@pytest.mark.promise(
    "A worker dies with messages of a Redis stream that it has not acknowledged",
    "another one takes them after `claim_after`, and does not end before",
    group="Crash",
)
async def test_what_a_dead_consumer_has_left_is_claimed_and_waited_for(shared_redis, stream, ids):
    shared_redis("XGROUP", "CREATE", stream, "cxai", "0", "MKSTREAM")
    shared_redis.send(stream, *ids)
    shared_redis("XREADGROUP", "GROUP", "cxai", OTHER, "COUNT", 30, "STREAMS", stream, ">")
    entries = await taken(shared_redis.url(stream, "?claim_after=1"))
    assert ids_of(entries) == ids[30:] + ids[:30]
    assert shared_redis.pending(stream) == 0


async def test_what_a_living_consumer_has_is_left_to_it(shared_redis, stream, ids):
    shared_redis("XGROUP", "CREATE", stream, "cxai", "0", "MKSTREAM")
    shared_redis.send(stream, *ids)
    shared_redis("XREADGROUP", "GROUP", "cxai", OTHER, "COUNT", 3, "STREAMS", stream, ">")
    async with opened(shared_redis.url(stream)) as source:
        batches = source.batches()
        assert ids_of(await anext(batches)) == ids[3:]
        await batches.aclose()


async def test_two_groups_get_each_message(shared_redis, stream, ids):
    shared_redis.send(stream, *ids)
    for group in ("one", "two"):
        assert ids_of(await taken(shared_redis.url(stream, f"?group={group}"))) == ids


# --- Redis: lost data is loud ---


@pytest.mark.promise(
    "The consumer group of a Redis stream is deleted while it is read, or all data with it",
    "exit code 4 with what to do, never `finished`; what was taken in has its verdicts",
    group="Input",
)
def test_a_group_that_is_gone_stops_the_run(own_redis, ids, api, export):
    own_redis.send("ids", *ids)
    with running(api, export, (), own_redis.url("ids"), "--until-idle", "60") as run:
        wait_until_blocking(lambda: written(export) == len(ids), "a line for each ID")
        own_redis("FLUSHALL")
        code, out, errors = ended(run)
    assert code == 4
    assert "its consumer group is gone" in out + errors
    assert 'headline="Stopped early' in errors
    assert verdicts(export).total() == len(ids)


async def test_a_group_that_is_gone_is_not_created_again(shared_redis, stream, ids):
    shared_redis.send(stream, *ids)
    url = shared_redis.url(stream)
    async with opened(url) as source, aclosing(source.batches()) as batches:
        await source.acknowledge(await anext(batches))
        shared_redis("XGROUP", "DESTROY", stream, "cxai")
        with pytest.raises(InputBrokenError, match="its consumer group is gone"):
            await anext(batches)
        assert shared_redis("XINFO", "GROUPS", stream) == []
    assert ids_of(await taken(url)) == ids  # the next run begins with the oldest message


async def test_a_server_that_comes_back_without_its_data_breaks_the_input(tmp_path, ids):
    with redis_server(tmp_path / "redis", "--appendonly", "no") as server:
        server.send("ids", *ids)
        async with opened(server.url("ids")) as source, aclosing(source.batches()) as batches:
            await source.acknowledge(await anext(batches))
            server.kill()
            server.start()
            with pytest.raises(InputBrokenError, match="its consumer group is gone"):
                await anext(batches)


@pytest.mark.promise(
    "Messages of a Redis stream are deleted between their delivery and their acknowledgement",
    "named in the log with their number, listed as `invalid_id`, exit code 1",
    group="Input",
)
def test_messages_that_are_deleted_before_they_are_taken_in_are_counted(
    shared_redis, stream, ids, api, export
):
    url = shared_redis.url(stream, "?consumer=me&claim_after=1")
    shared_redis("XGROUP", "CREATE", stream, "cxai", "0", "MKSTREAM")
    shared_redis.send(stream, *ids)
    give = ("XREADGROUP", "GROUP", "cxai")
    shared_redis(*give, "me", "COUNT", 3, "STREAMS", stream, ">")
    ((_, theirs),) = shared_redis(*give, OTHER, "COUNT", 4, "STREAMS", stream, ">")
    numbers = [number for number, _ in theirs]
    shared_redis("XCLAIM", stream, "cxai", OTHER, 0, *numbers, "IDLE", 60_000)
    shared_redis("XTRIM", stream, "MAXLEN", len(ids) - 7)
    run = run_to_idle(api, export, url)
    assert run.code == 1
    lost = [row for row in rows(export, "failures") if row["verdict"] == "invalid_id"]
    assert len({row["source"] for row in lost}) == 7
    assert all("may be lost" in row["reason"] for row in lost)
    assert run.err.count("queue_messages_lost") == 2
    assert verdicts(export).total() == len(ids)
    assert shared_redis.pending(stream) == 0


@pytest.mark.promise(
    "A Redis stream is trimmed before its messages were delivered",
    "how many are lost is named in the log and in a line `invalid_id` (Redis 7.4.1, Valkey 8.1)",
    group="Input",
)
async def test_messages_that_are_trimmed_before_anyone_got_them_are_counted(
    shared_redis, stream, ids
):
    if "valkey_version" not in shared_redis("INFO", "server"):
        pytest.skip("whether this server counts rightly what was trimmed depends on its version")
    noticed, url = Noticed(), shared_redis.url(stream)
    shared_redis.send(stream, *ids[:5])
    assert len(await taken(url)) == 5
    shared_redis.send(stream, *ids[5:])
    shared_redis("XTRIM", stream, "MAXLEN", 20)
    missing, *others = await taken(url, notice=noticed)
    assert str(missing.invalid).endswith("before they were delivered: 15 of them")
    assert (events(noticed), noticed[0][1]["count"]) == (["queue_messages_lost"], 15)
    assert ids_of(others) == ids[20:]
    assert await taken(url, notice=noticed) == []
    assert len(noticed) == 1


async def test_messages_that_are_trimmed_before_the_first_is_read_are_counted(
    shared_redis, stream, ids
):
    if "valkey_version" not in shared_redis("INFO", "server"):
        pytest.skip("whether this server counts rightly what was trimmed depends on its version")
    noticed, url = Noticed(), shared_redis.url(stream)
    shared_redis.send(stream, *ids[:10])
    shared_redis("XTRIM", stream, "MAXLEN", 7)  # before there was a group: nobody's loss
    async with opened(url, notice=noticed):
        assert events(noticed) == ["queue_group_created"]
    shared_redis.send(stream, *ids[10:])
    shared_redis("XTRIM", stream, "MAXLEN", 25)
    missing, *others = await taken(url, notice=noticed)
    assert str(missing.invalid).endswith("before they were delivered: 12 of them")
    assert events(noticed) == ["queue_group_created", "queue_messages_lost"]
    assert ids_of(others) == ids[15:]


async def test_what_is_trimmed_after_it_was_read_is_not_lost(shared_redis, stream, ids):
    noticed, url = Noticed(), shared_redis.url(stream)
    shared_redis.send(stream, *ids[:20])
    assert len(await taken(url, notice=noticed)) == 20
    shared_redis("XTRIM", stream, "MAXLEN", 0)
    shared_redis.send(stream, *ids[20:])
    assert ids_of(await taken(url, notice=noticed)) == ids[20:]
    ((last, _),) = shared_redis("XREVRANGE", stream, "+", "-", "COUNT", 1)
    shared_redis("XDEL", stream, last)
    assert await taken(url, notice=noticed) == []
    assert events(noticed) == ["queue_group_created"]


@pytest.mark.promise(
    "The consumer group of a Redis stream is deleted between two runs, or all data with it",
    "exit code 4 with what to do, never `finished`; the run after that reads what is there",
    group="Queues",
)
def test_a_group_that_is_gone_between_two_runs_stops_the_second(own_redis, ids, api, export):
    url = own_redis.url("ids")
    assert run_to_idle(api, export, url, "--allow-empty").code == 0
    own_redis("FLUSHALL")  # before anything was read: no loss
    own_redis.send("ids", *ids[:5])
    assert run_to_idle(api, export, url).code == 0
    own_redis.send("ids", *ids[5:10])
    own_redis("FLUSHALL")
    own_redis.send("ids", *ids[10:15])
    assert run_to_idle(api, export, own_redis.url("ids", "?group=another")).code == 0
    run = run_to_idle(api, export, url)
    assert (run.code, "its consumer group is gone" in run.err) == (4, True), run.err
    own_redis.send("ids", *ids[15:20])
    again = run_to_idle(api, export, url)
    assert again.code == 0, again.err
    assert verdicts(export).total() == 15


async def test_two_fields_of_one_name_are_not_taken_for_one(shared_redis, stream, ids):
    shared_redis("XADD", stream, "*", "interaction_id", ids[0], "interaction_id", ids[1])
    (entry,) = await taken(shared_redis.url(stream))
    assert entry.invalid.kind == "has a field twice, 'interaction_id'"


# --- Redis: what it may not do ---


async def test_a_user_without_a_permission_is_named_with_what_it_needs(own_redis):
    own_redis("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+ping", "+select", "+client")
    with pytest.raises(UsageError, match=r"its user may not do that .* It needs XGROUP"):
        async with opened(own_redis.url("ids", user="reader@")):
            pass


async def test_a_user_that_may_not_look_for_lost_messages_reads_all_the_same(own_redis, ids):
    may = ("+xgroup", "+xreadgroup", "+xautoclaim", "+xpending", "+xack")
    own_redis("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+select", "+client", *may)
    own_redis.send("ids", *ids)
    assert ids_of(await taken(own_redis.url("ids", user="reader@"))) == ids


async def test_a_server_that_is_no_redis_is_named(api):
    host = api.base_url.removeprefix("http://")
    with pytest.raises(UsageError, match="its replies are none of Redis"):
        async with opened(f"redis://{host}/0/ids"):
            pass


@pytest.mark.parametrize("reply", [b"*abc\r\n", b"$-5\r\n", b":x\r\n", b"220 mail\r\n"])
async def test_a_reply_that_is_garbled_is_named_as_none_of_redis(reply):
    async def answer(reader, writer):
        await reader.read(1)
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UsageError, match="its replies are none of Redis"):
            async with opened(f"redis://127.0.0.1:{port}/0/ids"):
                pass


async def test_a_full_memory_is_an_outage_that_passes(own_redis, ids):
    own_redis("CONFIG", "SET", "maxmemory", "1")
    noticed = Noticed()
    async with opened(own_redis.url("ids"), notice=noticed, until_idle_s=0.5) as source:
        assert events(noticed) == ["queue_unreachable"]
        own_redis("CONFIG", "SET", "maxmemory", "0")
        own_redis.send("ids", *ids)
        async with aclosing(source.batches()) as batches:
            assert ids_of(await anext(batches)) == ids


# --- SQS ---


def answer(status, code):
    body = orjson.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "No."})
    json = "Content-Type: application/x-amz-json-1.0"
    return [response(body, json, status=f"{status} No"), Ending.CLOSE]


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        (403, "AccessDeniedException", "access is denied: No. It needs sqs:GetQueueUrl"),
        (403, "InvalidClientTokenId", "it refuses the credentials: InvalidClientTokenId"),
        (403, "ExpiredTokenException", "it refuses the credentials: ExpiredTokenException"),
        (400, "QueueDoesNotExist", "there is no such queue"),
        (400, "KmsDisabled", "it says: KmsDisabled: No."),
    ],
)
async def test_what_sqs_refuses_is_named_with_what_to_do(sqs, monkeypatch, status, code, why):
    assert sqs
    with serving(RawServer(answer(status, code))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
        with pytest.raises(UsageError) as raised:
            async with opened("sqs://ids"):
                pass
    assert why in str(raised.value)


@pytest.mark.parametrize("trouble", [(503, "ServiceUnavailable"), (400, "ThrottlingException")])
async def test_an_outage_of_sqs_is_waited_for(sqs, monkeypatch, ids, trouble):
    url, noticed = sqs.queue(), Noticed()
    sqs.send(url, *ids)
    with serving(RawServer(answer(*trouble))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.base_url)
        async with opened(sqs.name_of(url), notice=noticed, patience_s=0.1) as source:
            assert events(noticed) == ["queue_unreachable"]
            with pytest.raises(InputBrokenError, match="could not be reached for"):
                await anext(source.batches())
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS")
    assert sorted(ids_of(await taken(sqs.name_of(url)))) == sorted(ids)


JSON = "Content-Type: application/x-amz-json-1.0"


@pytest.mark.promise(
    "A proxy answers 200 in place of SQS, with a page of its own or with other JSON",
    "an outage that is waited for, never an empty queue",
    group="Queues",
)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>Sign in</html>", "Content-Type: text/html"),
        (b"", JSON),
        (b"{}", JSON),
        (b"[]", JSON),
        (b"null", JSON),
        (b'{"QueueUrl": "http://127.0.0.1/1/ids", "Messages": [{}]}', JSON),
        (b'{"QueueUrl": "http://127.0.0.1/1/ids", "Messages": 5}', JSON),
        (b'{"QueueUrl": "http://127.0.0.1/1/ids"}', "Content-Type: text/html"),
    ],
)
async def test_what_is_no_reply_of_sqs_is_an_outage(sqs, monkeypatch, body, content_type):
    assert sqs
    with serving(RawServer([response(body, content_type), Ending.CLOSE])) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
        with pytest.raises(InputBrokenError, match="its endpoint sends what is no reply of SQS"):
            await taken("sqs://ids", patience_s=0.1)


async def test_a_body_that_is_no_text_is_an_entry_without_an_id(sqs, monkeypatch):
    assert sqs
    message = rb'{"MessageId": "1", "ReceiptHandle": "h", "Body": "\ud800"}'
    body = b'{"QueueUrl": "http://127.0.0.1/1/ids", "Messages": [%s]}' % message
    with serving(RawServer([response(body, JSON), Ending.CLOSE])) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.base_url)
        async with opened("sqs://ids") as source, aclosing(source.batches()) as batches:
            (entry,) = await anext(batches)
    assert "not UTF-8" in str(entry.invalid)


async def test_a_queue_that_is_deleted_while_it_is_read_breaks_the_input(sqs, ids):
    url = sqs.queue()
    sqs.send(url, *ids)
    async with opened(sqs.name_of(url)) as source, aclosing(source.batches()) as batches:
        await source.acknowledge(await anext(batches))
        sqs.delete(url)
        with pytest.raises(InputBrokenError, match="has it been deleted, its messages are lost"):
            await anext(batches)


@pytest.mark.promise(
    "A worker dies with messages of SQS that it has not deleted",
    "they come again after the visibility timeout, and a run does not end before",
    group="Crash",
)
async def test_messages_that_a_dead_worker_hides_are_waited_for(sqs, ids):
    url = sqs.queue(VisibilityTimeout="2")
    sqs.send(url, *ids[:10])
    async with opened(sqs.name_of(url)) as source, aclosing(source.batches()) as batches:
        await anext(batches)  # and no more of this one
    assert sorted(ids_of(await taken(sqs.name_of(url)))) == sorted(ids[:10])
    assert sqs.left(url) == 0


async def test_a_message_that_comes_again_is_the_same_entry(sqs, ids):
    url = sqs.queue(VisibilityTimeout="1")
    sqs.send(url, ids[0], "?")
    first, second = [], []
    name = sqs.name_of(url)
    async with opened(name, until_idle_s=None) as source, aclosing(source.batches()) as batches:
        while len(first) < 2:
            first += await anext(batches)
        while len(second) < 2:
            second += await anext(batches)
        await source.acknowledge([*first, *second])
    assert {entry.key for entry in first} == {entry.key for entry in second}
    await wait_until(lambda: sqs.left(url) == 0, "the queue to be empty")
