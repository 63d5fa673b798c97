"""Queues on the command line, with real servers."""

import signal
import time
from functools import partial

import orjson
import pytest
from support.command import cxai, environment, rows, verdicts
from support.queues import run_to_idle, written
from support.redis_server import redis_server
from support.running import ended, running
from support.sqs import SqsServer
from support.waiting import wait_until_blocking

pytestmark = pytest.mark.long(20)


PASSWORD = "CXAI_REDIS_PASSWORD"  # noqa: S105 - the name of a variable


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


@pytest.mark.promise(
    "Messages of a queue without an ID: not JSON, no such field, bytes, empty",
    "each is listed once as `invalid_id` with queue and message, and acknowledged",
    group="Input",
)
def test_messages_without_an_id_are_listed_with_their_origin(
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
    "it ends immediately, though its call would wait for up to 20 seconds",
    group="Shutdown",
)
@pytest.mark.parametrize("kind", ["redis", "sqs"])
def test_a_stop_interrupts_a_long_poll(kind, shared_redis, stream, moto, ids, api, export):
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
    [("no stream", "the key is not a stream"), ("sqs://no-such-queue", "there is no such queue")],
)
def test_a_missing_queue_is_refused_before_anything_is_created(
    name, why, sqs, shared_redis, export, api
):
    shared_redis("SET", "no-stream", "1")
    name = shared_redis.url("no-stream") if name == "no stream" else name
    run = run_to_idle(api, export, name, **sqs.environment)
    assert (run.code, why in run.err) == (2, True), run.err
    assert "Traceback" not in run.err
    assert not export.exists()


def test_verify_does_not_accept_a_queue(shared_redis, stream, export):
    run = cxai("verify", export, shared_redis.url(stream))
    assert (run.code, "An input to verify has to end" in run.err) == (2, True)


def test_the_right_password_is_shown_nowhere(tmp_path, ids, api, export):
    secret = "s3cret-of-redis-77"  # noqa: S105 - a test's
    (tmp_path / "password").write_text(f"{secret}\n")
    with redis_server(tmp_path / "redis", "--requirepass", secret) as server:
        with server.client(password=secret) as client:
            for one in [*ids, f"{secret} is not an ID", "?"]:
                client.xadd("ids", {"id": one})
        of_file = {f"{PASSWORD}_FILE": str(tmp_path / "password"), PASSWORD: "another-one"}
        run = run_to_idle(api, export, server.url("ids"), **of_file)
    assert run.code == 1, run.err  # two messages have no ID
    assert verdicts(export).total() == len(ids) + 2
    assert secret not in run.out + run.err + "".join(map(str, rows(export, "failures")))
