"""Whole runs with readers that are killed, stopped or signalled."""

import os
import signal
import sys

import psutil
import pytest
from support.checker import assert_exact
from support.command import end_input
from support.leftovers import SCENARIO, go_on
from support.readers import reader_processes
from support.running import ended, running, wait_for_line
from support.waiting import wait_until_blocking

READERS = ("--readers", "2")


def started_readers_of(run):
    """Wait until the readers of a run have started; return their process IDs."""
    for _ in range(2):
        wait_for_line(run, "event=reader_started")
    return reader_processes(run.pid)


def gone(processes):
    return not any(map(psutil.pid_exists, processes))


def feed(run, ids):
    run.stdin.write("".join(f"{one}\n" for one in ids).encode())
    run.stdin.flush()


@pytest.mark.promise(
    "A reader is killed (`kill -9`, OOM) at work",
    "the worker reads its replies itself, without another request, and restarts it; log"
    " `reader_lost`",
)
def test_a_run_whose_readers_are_killed_at_work_is_exact(simulated, export, guids):
    ids = guids(200)
    with (
        simulated(missing=SCENARIO.missing) as api,
        running(api, export, ids[:1], *READERS, "--shape", "tables", input_ends=False) as run,
    ):
        readers = started_readers_of(run)
        for reader in readers:
            os.kill(reader, signal.SIGSTOP)
        feed(run, ids[1:])
        wait_until_blocking(lambda: api.stats.requests > 20 and api.stats.in_flight == 0, "replies")
        assert run.poll() is None
        for reader in readers:
            os.kill(reader, signal.SIGKILL)
        end_input(run)
        code, _, errors = ended(run)
        assert code == 0, errors
        assert errors.count("event=reader_lost reader=") == 2
        assert_exact(export, ids, api.scenario)
        assert api.stats.requests == len(ids) + api.stats.by_status[404] // 2  # none twice


@pytest.mark.promise(
    "A worker with readers is killed",
    "they exit too, on Linux even if they are stopped (SIGSTOP), and the next run resumes",
)
def test_no_reader_outlives_a_killed_run(simulated, export, ids):
    with simulated(missing=SCENARIO.missing, latency_s=0.2) as api:
        with running(api, export, ids, *READERS, input_ends=False) as run:
            readers = started_readers_of(run)
            assert len(readers) == 2
            if sys.platform == "linux":
                os.kill(readers[0], signal.SIGSTOP)
            run.kill()
            wait_until_blocking(lambda: gone(readers), "the end of the readers")
        done = go_on(api, export, ids, *READERS)
        assert done.code == 0, done.err
        assert_exact(export, ids, api.scenario)


@pytest.mark.promise(
    "A signal that a terminal or systemd sends to worker and readers",
    "the run stops cleanly, and its readers finish the replies in flight",
)
def test_a_signal_to_all_processes_of_a_run_stops_it_cleanly(simulated, export, ids):
    with (
        simulated(latency_s=0.2) as api,
        running(api, export, ids[:1], *READERS, input_ends=False) as run,
    ):
        readers = started_readers_of(run)
        feed(run, ids[1:])
        wait_until_blocking(lambda: api.stats.in_flight == 10, "all requests in flight")
        for process in (*readers, run.pid):  # as a terminal or systemd sends it
            os.kill(process, signal.SIGINT)
        code, _, errors = ended(run)
        assert gone(readers)
        landed = api.stats.by_status[200]
        assert landed == api.stats.requests < len(ids)
    assert code == 4
    assert "reader_lost" not in errors
