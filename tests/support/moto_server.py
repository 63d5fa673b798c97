"""A real endpoint of S3 and SQS on loopback (moto), one for all test processes of a run.

The first test process that needs it starts it; it ends with the last one, however that ends. Every
test makes buckets and queues of its own, under names that no other test has. Any credentials do.
"""

import fcntl
import os
import signal
import sys
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import wait_until_blocking

TESTS = Path(__file__).parents[1]

ANY_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "made-up-secret-access-key",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """Return the URL of the endpoint."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with moto_server(shared / "moto") as url:
        yield url


@pytest.fixture
def bucket(moto):
    """Return the name of an empty bucket at the endpoint `moto`."""
    return new_bucket(moto)


def new_bucket(endpoint):
    name = f"bucket-{uuid.uuid4().hex}"
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")  # noqa: S310 - ours
    urllib.request.urlopen(request).close()  # noqa: S310 - the same
    return name


@contextmanager
def moto_server(place):
    """Yield the URL of the server of the directory `place`, which is there while someone is in."""
    place.mkdir(exist_ok=True)
    with (place / "start").open("w") as start, (place / "users").open("w") as users:
        fcntl.flock(start, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # the server waits until it gets this lock for itself
        url = place / "url"
        if not url.exists():
            _start(place)
        fcntl.flock(start, fcntl.LOCK_UN)
        yield url.read_text()


def _start(place):
    log = place / "log"
    output = [
        (os.POSIX_SPAWN_OPEN, fd, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for fd in (1, 2)
    ]
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "support.moto_server", place],
        {**os.environ, "PYTHONPATH": str(TESTS)},
        file_actions=output,
    )

    def is_up():
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise AssertionError(f"moto's server did not start: {log.read_text()}")
        return (place / "url").exists()

    wait_until_blocking(is_up, "the start of moto's server", patience_s=60)


def _serve(place):
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - a second of imports

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and these the server
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = place / "url"
    new = place / "url.new"
    new.write_text("http://{}:{}".format(*server.get_host_and_port()))
    new.rename(url)
    with (place / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        url.unlink(missing_ok=True)  # pytest may have tidied up already


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
