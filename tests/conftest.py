"""What all tests share: a simulated API on loopback, in a thread of its own."""

import asyncio
import threading
import uuid
from contextlib import contextmanager
from random import Random

import hypothesis
import pytest
from support.command import TOKEN

from worker.simulator import Scenario, Simulator

# A machine that stalls is no reason to fail: how long an example takes is nobody's promise.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def guids():
    """Return a maker of made-up interaction IDs, the same in each run."""

    def make(count, seed=1):
        chance = Random(seed)
        return [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(count)]

    return make


@contextmanager
def _served(scenario):
    loop = asyncio.new_event_loop()
    started = threading.Event()
    ended = asyncio.Event()
    holder = []

    async def serve():
        async with Simulator(scenario, token=TOKEN) as simulator:
            holder.append(simulator)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="simulator")
    thread.start()
    try:
        assert started.wait(10), "the simulator did not start"
        yield holder[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="session")
def simulated():
    """Return a context manager: `with simulated(missing=0.1) as api: ... api.base_url`."""

    def start(**scenario):
        return _served(Scenario(**scenario))

    return start
