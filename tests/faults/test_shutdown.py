"""Stopping a run: in good order at the first signal, at once at the second, never with a loss."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from support.checker import Ledger, assert_exact
from support.command import TOKEN, cxai, environment
from support.running import ended, running
from support.waiting import wait_until_blocking

# Long enough that a signal finds requests under way, short enough to wait for.
LATENCY_S = 0.2


@pytest.fixture
def ids(guids):
    return guids(40)


@pytest.fixture
def export(tmp_path):
    return tmp_path / "export"


def go_on(api, export, ids):
    command = ["run", "-o", export, "--base-url", api.base_url, "--rate", "1000"]
    done = cxai(*command, stdin="\n".join(ids).encode())
    assert done.code == 0, done.err
    assert_exact(export, ids, api.scenario)


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
    assert "stopping; once more to leave at once" in errors
    with simulated() as api:
        go_on(api, export, ids)
        assert api.stats.requests == len(ids) - landed  # nothing is asked twice


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
    assert "To go on where this run ended, give the same command again." in out
    with simulated() as api:
        go_on(api, export, ids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_leaves_at_once_and_loses_nothing_that_is_committed(
    simulated, export, ids, number
):
    with simulated() as api:
        go_on(api, export, ids[:20])
    with simulated(latency_s=60.0) as slow_api, running(slow_api, export, ids) as process:
        wait_until_blocking(lambda: slow_api.stats.in_flight == 10, "a full flight")
        process.send_signal(number)
        wait_until_blocking(
            lambda: b"once more to leave at once" in os.read(process.stderr.fileno(), 65_536),
            "the word that the signal was heard",
        )
        process.send_signal(number)
        code, _, errors = ended(process)
    assert "left at once; the same command goes on" in errors
    assert code == 4
    with simulated() as api:
        go_on(api, export, ids)
        assert api.stats.requests == len(ids) - 20


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
        go_on(api, export, ids)
        assert api.stats.requests == len(ids)


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
        go_on(api, export, ids)


def test_a_signal_while_it_starts_loses_nothing(simulated, export, ids):
    with simulated() as api:
        with running(api, export, ids) as process:
            wait_until_blocking((export / ".lock").exists, "the lock")
            process.send_signal(signal.SIGTERM)
            code, _, _ = ended(process)
        assert code == 4
        go_on(api, export, ids)


# --- the token ---


def test_a_token_that_is_refused_stops_the_run_and_leaves_every_id_open(simulated, export, ids):
    with simulated() as api:
        wrong = environment(CXAI_API_TOKEN="not-the-one")  # noqa: S106 - not a secret
        with running(api, export, ids, env=wrong) as process:
            code, out, errors = ended(process)
        assert code == 3
        assert "The API refused the token (HTTP 401, for " in out
        assert Ledger(export).outcomes == {}
        assert "not-the-one" not in out + errors
        go_on(api, export, ids)


def test_the_token_is_nowhere_but_in_the_request(simulated, export, ids):
    chatty = {"CXAI_PROGRESS_S": "0.05", "CXAI_BATCH": "5", "CXAI_BACKOFF_BASE_S": "0.01"}
    with simulated(latency_s=0.1, missing=0.2, garbled=0.1, erring=0.1, corrupt=0.1) as api:
        with running(api, export, ids, "--max-failed", "1", env=environment(**chatty)) as process:
            wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
            command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            during = everything_in(export)
            code, out, errors = ended(process)
        verified = cxai("verify", export)
        known = cxai("status", export)
    assert code == 0, errors
    assert "progress" in errors
    told = [out, errors, verified.out, verified.err, known.out, known.err]
    texts = [command_line, *during, *everything_in(export), *(text.encode() for text in told)]
    assert not [text for text in texts if TOKEN.encode() in text]


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9", "https://nonexistent.invalid"])
def test_the_token_is_not_in_what_is_told_of_a_fault(base_url, export, ids):
    done = cxai(
        "run", "-o", export, "--base-url", base_url, stdin=ids[0].encode(),
        env=environment(CXAI_OUTAGE_PATIENCE_S="0"),
    )  # fmt: skip
    assert done.code == 4
    texts = [done.out.encode(), done.err.encode(), *everything_in(export)]
    assert not [text for text in texts if TOKEN.encode() in text]


def everything_in(directory):
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
