"""Redis streams: lost messages are never silent."""

from contextlib import aclosing

import pytest
from support.command import rows, verdicts
from support.queues import Noticed, events, ids_of, opened, run_to_idle, taken, written
from support.redis_server import redis_server
from support.running import ended, running
from support.waiting import wait_until_blocking

from cxai.errors import InputBrokenError

pytestmark = pytest.mark.long(20)


OTHER = "another-consumer"


@pytest.mark.promise(
    "The consumer group of a Redis stream is deleted while it is read, or all data with it",
    "exit code 4 with what to do, never `finished`; IDs already read get their verdicts",
    group="Input",
)
def test_a_deleted_group_stops_the_run(own_redis, ids, api, export):
    own_redis.send("ids", *ids)
    with running(api, export, (), own_redis.url("ids"), "--until-idle", "60") as run:
        wait_until_blocking(lambda: written(export) == len(ids), "a line for each ID")
        own_redis("FLUSHALL")
        code, out, errors = ended(run)
    assert code == 4
    assert "the consumer group no longer exists" in out + errors
    assert 'headline="Stopped early' in errors
    assert verdicts(export).total() == len(ids)


async def test_a_deleted_group_is_not_created_again(shared_redis, stream, ids):
    shared_redis.send(stream, *ids)
    url = shared_redis.url(stream)
    async with opened(url) as source, aclosing(source.batches()) as batches:
        await source.acknowledge(await anext(batches))
        shared_redis("XGROUP", "DESTROY", stream, "cxai")
        with pytest.raises(InputBrokenError, match="the consumer group no longer exists"):
            await anext(batches)
        assert shared_redis("XINFO", "GROUPS", stream) == []
    assert ids_of(await taken(url)) == ids  # the next run starts with the oldest message


async def test_a_server_that_restarts_without_its_data_breaks_the_input(tmp_path, ids):
    with redis_server(tmp_path / "redis", "--appendonly", "no") as server:
        server.send("ids", *ids)
        async with opened(server.url("ids")) as source, aclosing(source.batches()) as batches:
            await source.acknowledge(await anext(batches))
            server.kill()
            server.start()
            with pytest.raises(InputBrokenError, match="the consumer group no longer exists"):
                await anext(batches)


@pytest.mark.promise(
    "Messages of a Redis stream are deleted between their delivery and their acknowledgement",
    "their number is logged, each is listed as `invalid_id`, exit code 1",
    group="Input",
)
def test_messages_deleted_before_they_are_read_are_counted(shared_redis, stream, ids, api, export):
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
    "the number lost is in the log and in a line `invalid_id` (Redis 7.4.1, Valkey 8.1)",
    group="Input",
)
async def test_messages_trimmed_before_delivery_are_counted(shared_redis, stream, ids):
    if "valkey_version" not in shared_redis("INFO", "server"):
        pytest.skip("only some versions of this server count trimmed messages correctly")
    noticed, url = Noticed(), shared_redis.url(stream)
    shared_redis.send(stream, *ids[:5])
    assert len(await taken(url)) == 5
    shared_redis.send(stream, *ids[5:])
    shared_redis("XTRIM", stream, "MAXLEN", 20)
    missing, *others = await taken(url, emit=noticed)
    assert str(missing.invalid).endswith("before delivery: 15 lost")
    assert (events(noticed), noticed[0][1]["count"]) == (["queue_messages_lost"], 15)
    assert ids_of(others) == ids[20:]
    assert await taken(url, emit=noticed) == []
    assert len(noticed) == 1


async def test_messages_trimmed_before_the_first_is_read_are_counted(shared_redis, stream, ids):
    if "valkey_version" not in shared_redis("INFO", "server"):
        pytest.skip("only some versions of this server count trimmed messages correctly")
    noticed, url = Noticed(), shared_redis.url(stream)
    shared_redis.send(stream, *ids[:10])
    shared_redis("XTRIM", stream, "MAXLEN", 7)  # before the group existed: no loss
    async with opened(url, emit=noticed):
        assert events(noticed) == ["queue_group_created"]
    shared_redis.send(stream, *ids[10:])
    shared_redis("XTRIM", stream, "MAXLEN", 25)
    missing, *others = await taken(url, emit=noticed)
    assert str(missing.invalid).endswith("before delivery: 12 lost")
    assert events(noticed) == ["queue_group_created", "queue_messages_lost"]
    assert ids_of(others) == ids[15:]


async def test_messages_trimmed_after_they_were_read_are_not_lost(shared_redis, stream, ids):
    noticed, url = Noticed(), shared_redis.url(stream)
    shared_redis.send(stream, *ids[:20])
    assert len(await taken(url, emit=noticed)) == 20
    shared_redis("XTRIM", stream, "MAXLEN", 0)
    shared_redis.send(stream, *ids[20:])
    assert ids_of(await taken(url, emit=noticed)) == ids[20:]
    ((last, _),) = shared_redis("XREVRANGE", stream, "+", "-", "COUNT", 1)
    shared_redis("XDEL", stream, last)
    assert await taken(url, emit=noticed) == []
    assert events(noticed) == ["queue_group_created"]


@pytest.mark.promise(
    "The consumer group of a Redis stream is deleted between two runs, or all data with it",
    "exit code 4 with what to do, never `finished`; the run after that reads the rest",
    group="Queues",
)
def test_a_group_deleted_between_two_runs_stops_the_second(own_redis, ids, api, export):
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
    assert (run.code, "the consumer group no longer exists" in run.err) == (
        4,
        True,
    ), run.err
    own_redis.send("ids", *ids[15:20])
    again = run_to_idle(api, export, url)
    assert again.code == 0, again.err
    assert verdicts(export).total() == 15
