"""Terminals of each kind, and Ctrl-C at each stage of a run: what is shown is right and whole."""

import json
import re
import socket
import subprocess

import pytest
from support.terminal import OnTerminal
from support.waiting import wait_until_blocking

pytestmark = pytest.mark.long(12)

LATENCY_S = 0.3
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
STOPPING = re.compile(r"stopping: \d+ requests in flight, up to \d+ s")
QUIT = "press Ctrl-C again to quit now"


@pytest.fixture
def on_terminal(tmp_path, guids):
    """Return a function that runs an export of 40 IDs on a terminal."""
    (tmp_path / "ids.txt").write_text("\n".join(guids(40)))

    def run(base_url, *more, source=True, **how):
        sources = [tmp_path / "ids.txt"] if source else []
        return OnTerminal(
            "run", *sources, "-o", tmp_path / "export", "--base-url", base_url, "--rate", "10",
            *more, **how,
        )  # fmt: skip

    return run


@pytest.mark.promise(
    "Ctrl-C while a live view is drawn",
    "the view says how many requests are in flight, how long they have, and how to quit now",
)
def test_ctrl_c_is_answered_inside_the_live_view(simulated, on_terminal):
    with simulated(latency_s=LATENCY_S) as api, on_terminal(api.base_url) as run:
        run.wait_for("of 40 IDs")
        wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
        run.press_ctrl_c()
        run.wait_for(QUIT)
        assert run.ended() == 4
    row = run.text[: run.text.rindex(QUIT)].splitlines()[-1]
    assert re.search(r"stopping: \d+ requests? in flight.*; $", row)
    assert run.shown.rindex(SHOW_CURSOR) > run.shown.rindex(HIDE_CURSOR)
    assert "cxai: stopping" not in run.text  # it would be drawn over
    assert run.text.count("Stopped early by Ctrl-C.") == 1


def test_on_a_narrow_terminal_how_to_quit_has_a_row_of_its_own(simulated, on_terminal):
    with simulated(latency_s=LATENCY_S) as api, on_terminal(api.base_url, columns=40) as run:
        run.wait_for("of 40 IDs")
        wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
        run.press_ctrl_c()
        run.wait_for(QUIT)
        assert run.ended() == 4
    assert QUIT in run.text.splitlines()


def test_a_second_ctrl_c_leaves_a_terminal_that_can_be_used(simulated, on_terminal):
    with simulated(latency_s=60.0) as api, on_terminal(api.base_url) as run:
        run.wait_for("of 40 IDs")
        wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
        run.press_ctrl_c()
        run.wait_for(QUIT)
        run.wait_for("up to 29 s")  # two within half a second are one
        run.press_ctrl_c()
        assert run.ended() == 4
    assert run.shown.rindex(SHOW_CURSOR) > run.shown.rindex(HIDE_CURSOR)
    assert run.text.strip().splitlines()[-1] == (
        "cxai: quit at the second signal; rerun the same command to resume"
    )


@pytest.mark.promise(
    "A terminal that can't draw (`TERM=dumb`)", "gets lines, without a single control sequence"
)
def test_a_dumb_terminal_gets_lines(simulated, on_terminal):
    with simulated(latency_s=LATENCY_S) as api, on_terminal(api.base_url, TERM="dumb") as run:
        run.wait_for("event=progress")
        wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
        run.press_ctrl_c()
        run.wait_for(f"cxai: stopping: requests in flight have up to 30 s; {QUIT}")
        assert run.ended() == 4
    assert "\x1b" not in run.shown
    assert run.text.count("Stopped early by Ctrl-C.") == 1


def test_without_colour_the_view_is_drawn_without_colour(simulated, on_terminal):
    with simulated() as api:
        with on_terminal(api.base_url, "--rate", "200", NO_COLOR="1") as plain:
            assert plain.ended() == 0
        with on_terminal(api.base_url, "--rate", "200") as coloured:
            assert coloured.ended() == 0
    assert HIDE_CURSOR in plain.shown
    assert not COLOUR.search(plain.shown)
    assert COLOUR.search(coloured.shown)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding_is_drawn_on_in_that(simulated, on_terminal, encoding):
    with simulated() as api:
        how = {"PYTHONIOENCODING": encoding, "columns": 40}
        with on_terminal(api.base_url, "--rate", "200", **how) as run:
            assert run.ended() == 0
    assert run.shown.isascii()
    assert "\\u" not in run.shown
    assert "of 40 IDs" in run.text


def test_json_logs_on_a_terminal_are_json_from_the_first_line_to_the_last(simulated, on_terminal):
    with simulated(latency_s=LATENCY_S) as api:
        how = {"CXAI_LOG_FORMAT": "json", "CXAI_PROGRESS": "bar", "out": subprocess.DEVNULL}
        with on_terminal(api.base_url, **how) as run:
            run.wait_for("progress")
            wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
            run.press_ctrl_c()
            assert run.ended() == 4
    lines = run.shown.replace("^C", "").splitlines()
    events = [json.loads(line)["event"] for line in lines if line]
    assert (events[0], events[-1]) == ("run_started", "run_finished")
    assert "stopping" in events


# --- Ctrl-C at each stage ---


def test_ctrl_c_before_the_first_id_stops_promptly(simulated, on_terminal):
    with simulated() as api, on_terminal(api.base_url, source=False, stdin=None) as run:
        run.wait_for("reading IDs from the terminal")
        run.press_ctrl_c()
        assert run.ended() == 4
    assert "rerun the same command to resume" in run.text


@pytest.mark.promise("Ctrl-C while the API can't be reached", "stops promptly; code 4")
def test_ctrl_c_while_the_api_can_not_be_reached_stops_promptly(on_terminal):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        with on_terminal(f"http://127.0.0.1:{closed.getsockname()[1]}") as run:
            run.wait_for("no usable answer from")
            run.press_ctrl_c()
            assert run.ended() == 4
    assert run.text.count("Stopped early by Ctrl-C.") == 1


def test_ctrl_c_while_everything_waits_for_a_retry_stops_promptly(simulated, on_terminal):
    backoff = {"CXAI_BACKOFF_BASE_S": "3600", "CXAI_BACKOFF_CAP_S": "3600"}
    with simulated(throttled=1.0) as api, on_terminal(api.base_url, **backoff) as run:
        run.wait_for("paused for")
        run.press_ctrl_c()
        assert run.ended() == 4
    assert run.text.count("Stopped early by Ctrl-C.") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_on_a_terminal_the_reason_of_an_exit_code_is_shown_once(simulated, on_terminal, as_json):
    more = ["--json"] if as_json else []
    with simulated() as api, on_terminal(api.base_url, *more, CXAI_API_TOKEN="wrong") as run:  # noqa: S106 - not a secret
        assert run.ended() == 3
    to_people = [line for line in run.text.splitlines() if not line.lstrip().startswith('"')]
    assert "\n".join(to_people).count("The API refused the token") == 1
