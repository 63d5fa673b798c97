"""Workers of a shared export that read replies on other cores, whatever becomes of the readers."""

import json

import psutil
import pytest
from support.readers import reader_processes
from support.running import ended, wait_for_line
from support.waiting import wait_until_blocking

from cxai.simulator import Scenario

pytestmark = pytest.mark.long(5)

SCENARIO = Scenario(missing=0.2)


def readers_of(worker, count):
    """Wait until the readers of a worker have started; return them."""
    for _ in range(count):
        wait_for_line(worker, "event=reader_started")
    return [psutil.Process(reader) for reader in reader_processes(worker.pid)]


@pytest.mark.promise(
    "A reader of a cluster worker is killed over its work",
    "the worker reads its replies itself, without another request; log `reader_lost`",
    group="Cluster",
)
def test_a_worker_whose_reader_is_killed_over_its_work_is_exact(simulated, guids, shared):
    ids = guids(200)
    with simulated(missing=SCENARIO.missing) as api:
        shared.init(api)
        with shared.worker("--readers", "1") as worker:
            (reader,) = readers_of(worker, 1)
            woken = reader.num_ctx_switches().voluntary
            shared.enqueue(*ids[:100], last=False)
            wait_until_blocking(lambda: len(shared.rows("failures")) > 0, "rows")
            assert reader.num_ctx_switches().voluntary > woken + 3  # it was given replies

            reader.suspend()
            requests = api.stats.requests
            shared.enqueue(*ids[100:])
            wait_until_blocking(lambda: api.stats.requests > requests + 10, "replies")
            reader.kill()
            code, out, log = ended(worker)
        assert api.stats.requests == len(ids) + api.stats.by_status[404] // 2  # none twice
    assert code == 0, log
    assert json.loads(out)["ids"] == 200
    assert log.count("event=reader_lost") == 1
    assert shared.problems(ids, SCENARIO) == []


@pytest.mark.promise(
    "A cluster worker that has readers is killed (`kill -9`)",
    "its readers end with it",
    group="Cluster",
)
def test_no_reader_outlives_a_worker_that_is_killed(simulated, guids, shared):
    with simulated(latency_s=0.1) as api:
        shared.init(api)
        with shared.worker("--readers", "2") as worker:
            readers = readers_of(worker, 2)
            shared.enqueue(*guids(60))
            wait_until_blocking(lambda: api.stats.requests > 10, "requests")
            worker.kill()
            wait_until_blocking(
                lambda: not any(reader.is_running() for reader in readers), "the end of the readers"
            )
