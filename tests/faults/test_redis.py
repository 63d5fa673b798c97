"""Redis streams: login, outages, other consumers and permissions, with a real server."""

import asyncio
from contextlib import aclosing

import pytest
from support.certificate import CA, server_context
from support.command import verdicts
from support.queues import Noticed, events, ids_of, opened, taken, written
from support.raw_server import Ending, RawServer
from support.redis_server import redis_server
from support.running import ended, running, wait_for_line
from support.serving import serving
from support.tripwire import Tripwire
from support.waiting import PATIENCE_S, wait_until, wait_until_blocking

from cxai.core.secret_str import SecretStr
from cxai.errors import InputBrokenError, UsageError

pytestmark = pytest.mark.long(20)


OTHER = "another-consumer"


@pytest.mark.promise(
    "Redis refuses the password, or requires one",
    "exit code 2 before anything is created, with where the password comes from; never shown",
    group="Security",
)
async def test_a_wrong_password_is_refused_and_not_shown(tmp_path):
    with redis_server(tmp_path / "redis", "--requirepass", "the-right-one") as server:
        for password in (None, SecretStr("another-one")):
            with pytest.raises(UsageError, match=r"login refused.*CXAI_REDIS_PASSWORD") as raised:
                await taken(server.url("ids"), redis_password=password)
            assert "another-one" not in str(raised.value)


async def test_a_tls_connection_is_trusted_only_with_its_ca(own_redis, ids):
    own_redis.send("ids", *ids)
    async with Tripwire(own_redis.port, tls=server_context("good")) as proxy:
        url = f"rediss://localhost:{proxy.port}/0/ids"
        assert ids_of(await taken(f"{url}?ca_file={CA}")) == ids
        with pytest.raises(UsageError, match=r"certificate is not trusted: .* \?ca_file="):
            await taken(url)


@pytest.mark.promise(
    "Redis is restarted while its stream is read, or is down when the run starts",
    "reported in the log; retried for at most `queue_patience_s`; the run resumes where it was",
    group="Input",
)
def test_a_server_that_is_down_or_restarted_is_retried(own_redis, ids, api, export):
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
    assert code == 1  # for the message without an ID
    assert verdicts(export).total() == len(ids) + 1
    assert own_redis.pending("ids") == 0


async def test_a_server_that_stays_down_breaks_the_input_when_patience_is_exhausted(own_redis, ids):
    own_redis.send("ids", *ids)
    url = own_redis.url("ids")
    async with opened(url, patience_s=0.3) as source, aclosing(source.batches()) as batches:
        await source.acknowledge(await anext(batches))
        own_redis.kill()
        with pytest.raises(InputBrokenError, match="was unreachable for"):
            await anext(batches)


async def test_messages_of_a_lost_reply_are_read_again_after_the_outage(own_redis, ids):
    own_redis.send("ids", *ids)
    options = {"emit": (noticed := Noticed()), "until_idle_s": None}
    async with (
        opened(own_redis.url("ids"), **options) as source,
        aclosing(source.batches()) as batches,
    ):
        first = await anext(batches)  # not acknowledged, as if the reply was lost
        own_redis.kill()
        own_redis.start()
        async with asyncio.timeout(PATIENCE_S):
            second = await anext(batches)
        await source.acknowledge(second)
    assert ids_of(first) == ids_of(second) == ids
    assert own_redis.pending("ids") == 0
    assert events(noticed) == ["queue_group_created", "queue_unreachable", "queue_reachable"]


async def test_an_acknowledgement_survives_a_restart(own_redis, ids):
    own_redis.send("ids", *ids)
    async with opened(own_redis.url("ids")) as source:
        async for batch in source.batches():
            own_redis.kill()
            own_redis.start()
            await source.acknowledge(batch)
    assert own_redis.pending("ids") == 0


async def test_a_failover_is_a_temporary_outage(own_redis, ids):
    noticed = Noticed()
    own_redis.send("ids", *ids)
    url = own_redis.url("ids")
    async with opened(url, emit=noticed) as source, aclosing(source.batches()) as batches:
        own_redis("REPLICAOF", "127.0.0.1", "1")
        reading = asyncio.create_task(anext(batches))
        await wait_until(lambda: "queue_unreachable" in events(noticed), "the outage")
        own_redis("REPLICAOF", "NO", "ONE")
        assert ids_of(await reading) == ids
    assert any("READONLY" in str(values) or "write" in str(values) for _, values in noticed)


async def test_a_server_that_accepts_connections_but_does_not_reply_is_an_outage():
    noticed = Noticed()
    with serving(RawServer([Ending.SILENCE])) as server:
        async with opened(f"redis://127.0.0.1:{server.port}/0/ids", emit=noticed):
            pass
    assert [(event, values["reason"]) for event, values in noticed] == [
        ("queue_unreachable", "no reply")
    ]


async def test_messages_pending_for_this_consumer_come_first(shared_redis, stream, ids):
    url = shared_redis.url(stream, "?consumer=me")
    shared_redis.send(stream, *ids[:5])
    async with opened(url) as source, aclosing(source.batches()) as batches:
        await anext(batches)  # as if killed before the acknowledgement
    shared_redis.send(stream, *ids[5:])
    assert ids_of(await taken(url)) == ids


@pytest.mark.promise(
    "A worker dies with messages of a Redis stream that it has not acknowledged",
    "another worker takes them over after `claim_after`, and does not end before",
    group="Crash",
)
async def test_messages_of_a_dead_consumer_are_claimed_before_the_end(shared_redis, stream, ids):
    shared_redis("XGROUP", "CREATE", stream, "cxai", "0", "MKSTREAM")
    shared_redis.send(stream, *ids)
    shared_redis("XREADGROUP", "GROUP", "cxai", OTHER, "COUNT", 30, "STREAMS", stream, ">")
    entries = await taken(shared_redis.url(stream, "?claim_after=1"))
    assert ids_of(entries) == ids[30:] + ids[:30]
    assert shared_redis.pending(stream) == 0


async def test_messages_of_a_live_consumer_are_left_to_it(shared_redis, stream, ids):
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


async def test_two_fields_of_the_same_name_are_rejected(shared_redis, stream, ids):
    shared_redis("XADD", stream, "*", "interaction_id", ids[0], "interaction_id", ids[1])
    (entry,) = await taken(shared_redis.url(stream))
    assert entry.invalid.kind == "has field 'interaction_id' twice"


async def test_a_missing_permission_is_refused_with_what_is_needed(own_redis):
    own_redis("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+ping", "+select", "+client")
    with pytest.raises(UsageError, match=r"permission denied .* The user needs XGROUP"):
        async with opened(own_redis.url("ids", user="reader@")):
            pass


async def test_a_user_without_permission_to_find_gaps_can_read(own_redis, ids):
    may = ("+xgroup", "+xreadgroup", "+xautoclaim", "+xpending", "+xack")
    own_redis("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+select", "+client", *may)
    own_redis.send("ids", *ids)
    assert ids_of(await taken(own_redis.url("ids", user="reader@"))) == ids


async def test_a_server_that_is_not_redis_is_refused(api):
    host = api.base_url.removeprefix("http://")
    with pytest.raises(UsageError, match="the server does not speak the Redis protocol"):
        async with opened(f"redis://{host}/0/ids"):
            pass


@pytest.mark.parametrize("reply", [b"*abc\r\n", b"$-5\r\n", b":x\r\n", b"220 mail\r\n"])
async def test_a_malformed_reply_is_refused_as_not_redis(reply):
    async def answer(reader, writer):
        await reader.read(1)
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UsageError, match="the server does not speak the Redis protocol"):
            async with opened(f"redis://127.0.0.1:{port}/0/ids"):
                pass


async def test_a_full_memory_is_a_temporary_outage(own_redis, ids):
    own_redis("CONFIG", "SET", "maxmemory", "1")
    noticed = Noticed()
    async with opened(own_redis.url("ids"), emit=noticed, until_idle_s=0.5) as source:
        assert events(noticed) == ["queue_unreachable"]
        own_redis("CONFIG", "SET", "maxmemory", "0")
        own_redis.send("ids", *ids)
        async with aclosing(source.batches()) as batches:
            assert ids_of(await anext(batches)) == ids
