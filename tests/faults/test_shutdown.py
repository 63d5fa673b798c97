"""Stopping a run: gracefully at the first signal, immediately at the second, with no loss."""

import json
import os
import re
import signal
import time

import pytest
from support.checker import Ledger, assert_exact
from support.command import environment
from support.leftovers import go_on
from support.running import ended, running
from support.waiting import wait_until_blocking

# Long enough that a signal finds requests under way, short enough to wait for.
LATENCY_S = 0.2


def finished(api, export, ids):
    done = go_on(api, export, ids)
    assert done.code == 0, done.err
    assert_exact(export, ids, api.scenario)


@pytest.mark.promise(
    "SIGTERM, SIGINT or SIGHUP", "no new request; those under way land and are committed; code 4"
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_signal_lets_requests_under_way_land_and_commits_them(
    simulated, export, ids, number
):
    with (
        simulated(latency_s=LATENCY_S) as api,
        running(api, export, ids, "--json") as process,
    ):
        wait_until_blocking(lambda: api.stats.in_flight == 10, "a full flight")
        process.send_signal(number)
        code, out, errors = ended(process)
        landed = api.stats.by_status[200]
        assert landed == api.stats.requests < len(ids)  # none was given up, none asked after that
    assert code == 4
    assert list(Ledger(export).outcomes.values()) == ["ok"] * landed
    told = json.loads(out)
    assert told["stopped_by"].startswith("Stopped by ")
    assert (told["verdicts"], told["open"]) == ({"ok": landed}, len(ids) - landed)
    again = "press Ctrl-C" if number is signal.SIGINT else f"send {number.name}"
    assert (
        f"cxai: stopping: requests in flight have up to 30 s; {again} again to quit now\n" in errors
    )
    with simulated() as api:
        finished(api, export, ids)
        assert api.stats.requests == len(ids) - landed  # nothing is asked twice


@pytest.mark.promise(
    "A signal, while the log is JSON", "each line on standard error is JSON, those of the end too"
)
@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_puts_no_other_line_into_a_log_of_json(simulated, export, ids, signals):
    as_json = environment(CXAI_LOG_FORMAT="json")
    with (
        simulated(latency_s=1.0) as api,
        running(api, export, ids, env=as_json) as process,
    ):
        wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
        process.send_signal(signal.SIGTERM)
        if signals > 1:
            time.sleep(0.6)  # two within half a second are one
            process.send_signal(signal.SIGTERM)
        code, _, errors = ended(process)
    assert code == 4
    events = [json.loads(line) for line in errors.splitlines()]
    assert "stopping" in {event["event"] for event in events}


@pytest.mark.promise(
    "Requests under way outlast the grace period",
    "they are given up and stay open for the next run",
)
def test_requests_that_do_not_land_within_the_grace_period_are_given_up(simulated, export, ids):
    with (
        simulated(latency_s=60.0) as api,
        running(api, export, ids, "--grace", "0.2") as process,
    ):
        wait_until_blocking(lambda: api.stats.in_flight == 10, "a full flight")
        process.send_signal(signal.SIGTERM)
        code, out, _ = ended(process)
    assert code == 4
    assert "40 IDs = 40 still open" in out
    assert "To resume, run the same command again." in out
    with simulated() as api:
        finished(api, export, ids)


@pytest.mark.promise(
    "A second signal", "leaves at once; nothing that is committed is lost, the rest is asked again"
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_leaves_at_once_and_loses_nothing_that_is_committed(
    simulated, export, ids, number
):
    with simulated() as api:
        finished(api, export, ids[:20])
    with simulated(latency_s=60.0) as slow_api, running(slow_api, export, ids) as process:
        wait_until_blocking(lambda: slow_api.stats.in_flight == 10, "a full flight")
        process.send_signal(number)
        wait_until_blocking(
            lambda: b"again to quit now" in os.read(process.stderr.fileno(), 65_536),
            "the message that the run is stopping",
        )
        received = time.monotonic()
        wait_until_blocking(lambda: time.monotonic() - received > 0.6, "the end of the first")
        process.send_signal(number)
        code, _, errors = ended(process)
    assert "cxai: quit at the second signal; rerun the same command to resume\n" in errors
    assert code == 4
    with simulated() as api:
        finished(api, export, ids)
        assert api.stats.requests == len(ids) - 20


@pytest.mark.promise(
    "The same stop arrives twice, as `timeout -s INT` sends it",
    "it counts as one: those under way land and are committed",
)
def test_signals_at_the_same_time_are_one(simulated, export, ids):
    with (
        simulated(latency_s=LATENCY_S) as api,
        running(api, export, ids) as process,
    ):
        wait_until_blocking(lambda: api.stats.in_flight == 10, "a full flight")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        code, out, errors = ended(process)
        landed = api.stats.by_status[200]
    assert code == 4
    assert errors.count("again to quit now") == 1
    assert "quit at the second signal" not in errors
    assert re.match(r"Stopped early by (Ctrl-C|SIGTERM)\.\n", out)
    assert list(Ledger(export).outcomes.values()) == ["ok"] * landed


def test_a_run_that_waits_for_a_pipe_stops_promptly(simulated, export, ids):
    with simulated() as api:
        with running(api, export, ids, input_ends=False) as process:
            wait_until_blocking(
                lambda: api.stats.by_status[200] == len(ids), "all that came through the pipe"
            )
            process.send_signal(signal.SIGTERM)
            begun = time.monotonic()
            code, out, _ = ended(process)
        assert time.monotonic() - begun < 5.0
        assert code == 4
        assert "40 IDs = 40 ok" in out
        finished(api, export, ids)
        assert api.stats.requests == len(ids)


@pytest.mark.promise(
    "A signal while everything waits for `Retry-After`", "stops promptly, without waiting it out"
)
def test_a_run_that_was_told_to_pause_stops_promptly(simulated, export, ids):
    patient = environment(CXAI_BACKOFF_BASE_S="3600", CXAI_BACKOFF_CAP_S="3600")
    with (
        simulated(throttled=1.0) as api,
        running(api, export, ids, env=patient) as process,
    ):
        wait_until_blocking(lambda: api.stats.by_status[429] > 0, "a refusal")
        process.send_signal(signal.SIGTERM)
        code, _, _ = ended(process)
    assert code == 4
    with simulated() as api:
        finished(api, export, ids)


@pytest.mark.promise("A signal while the run is starting", "code 4; the same command goes on")
def test_a_signal_while_it_starts_loses_nothing(simulated, export, ids):
    with simulated() as api:
        with running(api, export, ids) as process:
            wait_until_blocking((export / ".lock").exists, "the lock")
            process.send_signal(signal.SIGTERM)
            code, _, _ = ended(process)
        assert code == 4
        finished(api, export, ids)
