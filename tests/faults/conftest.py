"""Faults happen to the event loop that the command really runs on."""

import pytest
import uvloop
from support.expected import is_small
from support.leftovers import SCENARIO
from support.small_disk import small_disk  # noqa: F401 - a fixture
from support.sqs import SqsServer


def pytest_asyncio_loop_factories(config, item):  # noqa: ARG001 - the hook's signature
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def ids(guids):
    """Return 40 IDs. What a killed run has left behind, it has of the first 30."""
    return guids(40)


@pytest.fixture
def export(tmp_path):
    return tmp_path / "export"


@pytest.fixture
def api(simulated):
    with simulated(missing=SCENARIO.missing) as api:
        yield api


@pytest.fixture
def small(guids):
    """Return a maker of IDs whose results are small."""

    def make(count, scenario):
        drawn = guids(8 * count)
        found = [one for one in drawn if is_small(scenario, one)]
        assert len(found) >= count
        return found[:count]

    return make


@pytest.fixture
def sqs(moto, monkeypatch):
    server = SqsServer(moto)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server
