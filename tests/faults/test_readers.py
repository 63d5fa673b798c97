"""Whole runs with readers, whatever becomes of these."""

import os
import signal
from contextlib import suppress

import psutil
from support.checker import assert_exact
from support.command import end_input
from support.leftovers import SCENARIO, go_on
from support.readers import reader_processes
from support.running import ended, running, wait_for_line
from support.waiting import wait_until_blocking

READERS = ("--readers", "2")


def readers_of(run):
    """Return the readers of a run; none when it has ended."""
    with suppress(psutil.NoSuchProcess):
        return reader_processes(run.pid)
    return []


def gone(processes):
    return not any(map(psutil.pid_exists, processes))


def feed(run, ids):
    run.stdin.write("".join(f"{one}\n" for one in ids).encode())
    run.stdin.flush()


def test_a_run_whose_readers_are_killed_over_their_work_is_exact(simulated, export, guids):
    ids = guids(200)
    with (
        simulated(missing=SCENARIO.missing) as api,
        running(api, export, ids[:1], *READERS, "--shape", "tables", input_ends=False) as run,
    ):
        wait_until_blocking(lambda: len(readers_of(run)) == 2, "two readers")
        for _ in range(2):
            wait_for_line(run, "event=reader_started")
        readers = readers_of(run)
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


def test_no_reader_outlives_a_run_that_is_killed(simulated, export, ids):
    with simulated(missing=SCENARIO.missing, latency_s=0.2) as api:
        with running(api, export, ids, *READERS, input_ends=False) as run:
            wait_until_blocking(lambda: len(readers_of(run)) == 2, "two readers")
            wait_until_blocking(lambda: api.stats.by_status[200], "a reply")
            readers = readers_of(run)
            run.kill()
            wait_until_blocking(lambda: gone(readers), "the end of the readers")
        done = go_on(api, export, ids, *READERS)
        assert done.code == 0, done.err
        assert_exact(export, ids, api.scenario)


def test_a_signal_to_all_processes_of_a_run_stops_it_in_good_order(simulated, export, ids):
    with (
        simulated(latency_s=0.2) as api,
        running(api, export, ids[:1], *READERS, input_ends=False) as run,
    ):
        wait_for_line(run, "event=reader_started")
        feed(run, ids[1:])
        wait_until_blocking(lambda: api.stats.in_flight == 10, "a full flight")
        readers = readers_of(run)
        for process in (*readers, run.pid):  # as a terminal or systemd sends it
            os.kill(process, signal.SIGINT)
        code, _, errors = ended(run)
        assert gone(readers)
        landed = api.stats.by_status[200]
        assert landed == api.stats.requests < len(ids)
    assert code == 4
    assert "reader_lost" not in errors
