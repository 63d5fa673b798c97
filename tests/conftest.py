"""What all tests share: a simulated API on loopback, in a thread of its own."""

import gc
import os
import signal
import tempfile
import uuid
from random import Random

import hypothesis
import pytest
from support import raw_server
from support.command import TOKEN
from support.garbage import leave_out_what_is_there
from support.memory import memory_with_room
from support.moto_server import bucket, moto  # noqa: F401 - fixtures
from support.order import long_ones_first, processes
from support.redis_server import own_redis, shared_redis, stream  # noqa: F401 - fixtures
from support.serving import serving

from cxai.api.session_exchange import SessionExchange
from cxai.api.thin_exchange import ThinExchange
from cxai.observe.logging import LOG
from cxai.observe.redaction import Redaction
from cxai.simulator import Scenario, Simulator

pytest_plugins = ["support.postgres", "support.shared_export"]

# A machine that stalls is no reason to fail: the time of an example is not a promise.
hypothesis.settings.register_profile("patient", deadline=None, max_examples=50)
hypothesis.settings.load_profile("patient")

if "TMPDIR" not in os.environ:  # with it, the tests write where its user wants them to
    tempfile.tempdir = memory_with_room()

for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:  # as in a background job: commands would, too
        signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect no garbage while the tests are collected: what they are made of stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        leave_out_what_is_there()
        gc.enable()


@pytest.hookimpl(trylast=True)  # as pytest itself has put them into an order by their fixtures
def pytest_collection_modifyitems(items):
    if (count := processes()) > 1:
        items[:] = long_ones_first(items, count)


def pytest_make_parametrize_id(val):
    """Name no test by gzip data: they hold the time, and workers would not agree on the names."""
    return "gzip" if isinstance(val, bytes) and val.startswith(b"\x1f\x8b") else None


@pytest.fixture(autouse=True)
def _log_as_at_the_start():
    """Let no test find the log as a command within the same process has configured it."""
    yield
    LOG.configure(Redaction(), as_json=False)
    LOG.is_configured = False


@pytest.fixture(scope="session")
def guids():
    """Return a maker of made-up interaction IDs, the same in each run."""

    def make(count, seed=1):
        chance = Random(seed)
        return [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]

    return make


@pytest.fixture(scope="session")
def simulated():
    """Return a context manager: `with simulated(missing=0.1) as api: ... api.base_url`."""

    def start(**scenario):
        return serving(Simulator(Scenario(**scenario), token=TOKEN))

    return start


@pytest.fixture(params=[ThinExchange, SessionExchange], ids=["thin", "session"])
def exchange(request, monkeypatch):
    """Let the client send in each of its ways; return which."""
    monkeypatch.setattr(raw_server, "OPEN_EXCHANGE", request.param)
    return request.param
