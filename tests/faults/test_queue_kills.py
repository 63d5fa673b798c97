"""A run that reads a queue is killed anywhere: every ID has its one line, and nothing is left."""

import pytest
from support.checker import assert_exact
from support.command import environment, rows
from support.leftovers import SCENARIO
from support.running import ended, running
from support.serving import serving
from support.sqs import SqsServer
from support.tripwire import Tripwire
from support.waiting import wait_until_blocking

pytestmark = pytest.mark.long(12)

IDLE = ("--until-idle", "0.2", "--allow-empty")


class Redis:
    """A stream of Redis with messages."""

    commands = (b"XREADGROUP", b"XACK")

    def __init__(self, server, stream, messages):
        self._server = server
        self._stream = stream
        self.port = server.port
        server.send(stream, *messages)

    def run(self, port=None):
        """Return what is to be read, and the environment for that."""
        query = "?consumer=me&claim_after=1"
        return f"redis://127.0.0.1:{port or self.port}/0/{self._stream}{query}", environment()

    def left(self):
        return self._server.pending(self._stream)


class Sqs:
    """A queue of SQS with messages, which come again after a second."""

    commands = (b"AmazonSQS.ReceiveMessage", b"AmazonSQS.DeleteMessageBatch")

    def __init__(self, endpoint, messages):
        self._server = SqsServer(endpoint)
        self._queue = self._server.queue(VisibilityTimeout="1")
        self.port = int(endpoint.rpartition(":")[2])
        self._server.send(self._queue, *messages)

    def run(self, port=None):
        endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}"}
        env = environment(**{**self._server.environment, **endpoint})
        return self._server.name_of(self._queue), env

    def left(self):
        return self._server.left(self._queue)


@pytest.fixture
def filled(stream, shared_redis, request):
    """Return a function that makes a queue of a kind with messages."""

    def fill(kind, messages):
        if kind == "redis":
            return Redis(shared_redis, stream, messages)
        return Sqs(request.getfixturevalue("moto"), messages)

    return fill


def finish(queue, api, export):
    """Run to the end of the queue, and return how that ended."""
    name, env = queue.run()
    with running(api, export, (), name, *IDLE, env=env) as run:
        return ended(run)


@pytest.mark.promise(
    "`kill -9` of a run that reads a queue: while it receives, or around the acknowledgement",
    "no message is lost: it is in the queue or in the ledger, and each ID is written once",
    group="Crash",
)
@pytest.mark.parametrize(
    ("kind", "command", "after"),
    [
        ("redis", 0, True),
        ("redis", 1, False),
        ("redis", 1, True),
        ("sqs", 0, True),
        ("sqs", 1, True),
    ],
)
def test_a_kill_around_a_command_loses_and_doubles_nothing(
    kind, command, after, filled, ids, api, export
):
    queue = filled(kind, [*ids, *ids[:5]])
    killed = []

    def kill():
        killed[0].kill()

    with serving(Tripwire(queue.port, queue.commands[command], kill, after=after)) as proxy:
        name, env = queue.run(proxy.port)
        with running(api, export, (), name, env=env) as run:
            killed.append(run)
            assert ended(run)[0] == -9
    code, _, errors = finish(queue, api, export)
    assert code == 0, errors
    assert_exact(export, ids, SCENARIO)
    assert queue.left() == 0


def written(export):
    return sum(len(rows(export, part, sealed_only=False)) for part in ("records", "failures"))


def test_kills_again_and_again_lose_and_double_nothing(filled, guids, api, export):
    ids = guids(500)
    queue = filled("redis", [*ids, *ids[::10]])
    for goal in (20, 120, 250):
        name, env = queue.run()
        with running(api, export, (), name, "--rate", "400", env=env) as run:
            wait_until_blocking(lambda goal=goal: written(export) >= goal, f"{goal} lines")
            run.kill()
            run.wait()
    code, _, errors = finish(queue, api, export)
    assert code == 0, errors
    assert_exact(export, ids, SCENARIO)
    assert queue.left() == 0
