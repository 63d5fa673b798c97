"""Stalls: whatever holds a run up, it says where, and goes on when it can."""

import asyncio
import fcntl
import signal
import sys
import termios
import time

import pytest
from support.checker import assert_exact
from support.command import environment
from support.raw_server import Ending, RawServer
from support.running import ended, running, wait_for_line
from support.waiting import wait_until_blocking

from cxai.simulator import Scenario


@pytest.mark.promise(
    "A server takes requests and is silent",
    "the watchdog names the stage, in the log and in the state; the requests end by their timeout",
)
async def test_a_server_that_takes_requests_and_is_silent_is_named_as_the_stall(export, guids):
    env = environment(CXAI_STALLED_AFTER_S="0.2", CXAI_PROGRESS_S="0.2")
    async with RawServer([Ending.SILENCE]) as api:
        with running(api, export, guids(3), env=env) as run:
            await asyncio.to_thread(
                wait_for_line,
                run,
                r'warning.* event=stage_stalled stage=requests symptom="nothing comes back"',
            )
            await asyncio.to_thread(
                wait_for_line, run, r"state=\"stalled for .* at requests: nothing"
            )


@pytest.mark.promise("A pipe gives no IDs", "the run waits, and tells for how long")
def test_an_input_that_is_silent_is_told_without_alarm(simulated, export, guids):
    env = environment(CXAI_STALLED_AFTER_S="0.2", CXAI_PROGRESS_S="0.2")
    with (
        simulated() as api,
        running(api, export, guids(3), input_ends=False, env=env) as run,
    ):
        wait_for_line(run, r'level=info event=stage_stalled stage=input symptom="nothing comes in"')
        wait_for_line(run, "waiting for input for ")


@pytest.mark.promise("Nobody reads standard error", "lines are dropped; the run goes on")
def test_a_standard_error_that_nobody_reads_holds_nothing_up(simulated, export, guids):
    ids = guids(60)
    env = environment(CXAI_PROGRESS_S="0.002")
    with (
        simulated(missing=0.2) as api,
        running(api, export, ids, "--rate", "60", env=env) as run,
    ):
        fcntl.fcntl(run.stderr, fcntl.F_SETPIPE_SZ, 4096)
        wait_until_blocking(lambda: run.poll() is not None, "the end of the run")
        assert ended(run)[0] == 0
    assert_exact(export, ids, Scenario(missing=0.2))


def test_a_signal_ends_a_run_whose_standard_error_nobody_reads(simulated, export, guids):
    env = environment(CXAI_PROGRESS_S="0.002")
    with (
        simulated() as api,
        running(api, export, guids(60), "--rate", "20", input_ends=False, env=env) as run,
    ):
        fcntl.fcntl(run.stderr, fcntl.F_SETPIPE_SZ, 4096)
        wait_until_blocking(lambda: is_full(run.stderr), "a pipe that takes no more")
        run.send_signal(signal.SIGTERM)
        wait_until_blocking(lambda: run.poll() is not None, "the end of the run")
        assert run.returncode == 4


def is_full(pipe):
    """Whether something waits in a pipe of one page: then it calls itself full."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"    "), sys.byteorder) > 0


@pytest.mark.promise("The process is stopped (SIGSTOP) and goes on", "it says so; exact")
def test_a_process_that_was_stopped_and_goes_on_says_so_and_loses_nothing(simulated, export, guids):
    ids = guids(40)
    env = environment(CXAI_STALLED_AFTER_S="1.5", CXAI_PROGRESS_S="0.2")
    with (
        simulated(missing=0.2) as api,
        running(api, export, ids, input_ends=False, env=env) as run,
    ):
        wait_for_line(run, "event=progress")
        run.send_signal(signal.SIGSTOP)
        time.sleep(2.0)  # not to wait for anything: to be away is the fault
        run.send_signal(signal.SIGCONT)
        wait_for_line(run, r"event=stage_stalled stage=process .*it did not run")
        run.stdin.close()
        run.stdin = None
        assert ended(run)[0] == 0
    assert_exact(export, ids, Scenario(missing=0.2))
