"""The live view, as it is drawn on terminals of several widths and encodings."""

import asyncio
import os
import sys
from dataclasses import replace

import pytest
from rich.console import Console
from support.states import api_state, run_state

from cxai.core.run_state import Blocked, Pause, WorkState
from cxai.observe.live_view import LiveView, drawing
from cxai.observe.state_text import sentence
from cxai.policy.verdict import Verdict

SMALL = run_state(
    elapsed_s=3.0,
    done=60,
    total=300,
    verdicts={
        Verdict.OK: 57,
        Verdict.INVALID_ID: 1,
        Verdict.NOT_FOUND: 2,
        Verdict.PROCESSING_FAILED: 1,
    },
    requests_per_s=23.4567,
    eta_s=14.2,
    work={"open": 10, "in_flight": 5},
    api={"rate": 20.0, "pause": Pause(0.3, "the API asked for fewer requests")},
)
LARGE = run_state(
    done=1_234_567,
    total=10_000_000,
    verdicts=dict.fromkeys(
        (
            Verdict.EXHAUSTED,
            Verdict.NOT_FOUND,
            Verdict.OK,
            Verdict.REJECTED,
            Verdict.TOO_LARGE,
        ),
        1_000_000,
    ),
    requests_per_s=1_234.5678,
    eta_s=300_000.0,
    work={"open": 2_000, "in_flight": 1_024},
    api={
        "rate": 3.3333333,
        "pause": Pause(280.0, "the API asked for fewer requests than it was sent"),
    },
)


def drawn(shown, width, encoding="utf-8"):
    """Return the rows that a terminal of this width shows."""
    file = open("/dev/null", "w", encoding=encoding)  # noqa: PTH123, SIM115
    console = Console(width=width, record=True, file=file)
    with console.file:
        console.print(drawing(shown, width, console.encoding))
        return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("shown", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_it_has_four_rows_whatever_the_width_and_the_encoding(shown, width, encoding):
    rows = drawn(shown, width, encoding)
    assert "\n".join(rows).encode(encoding)
    assert len(rows) == 4
    assert max(map(len, rows)) <= width


def test_each_row_tells_one_thing():
    bar, pace, verdicts, state = drawn(SMALL, 80)
    assert bar.lstrip("━╺╸ ") == "20% 60 of 300 IDs  14 s left"
    assert pace == "23.5 requests/s of 20, 5 in flight"
    assert verdicts == "invalid_id 1  not_found 2  ok 57  processing_failed 1"
    assert state == sentence(SMALL) == "paused for 1 s: the API asked for fewer requests"


def test_large_figures_keep_the_bar_and_the_time_left_even_where_it_is_narrow():
    bar, pace, *_ = drawn(LARGE, 60)
    assert bar.startswith("━")
    assert bar.endswith("12% 1,234,567 of 10,000,000 IDs  3 d 11 h left")
    assert pace == "1,235 requests/s of 3.33, 1,024 in flight"


def test_what_does_not_fit_is_cut_short_and_not_wrapped():
    _, _, verdicts, state = drawn(LARGE, 60)
    assert verdicts.endswith("…")
    assert state.endswith("…")
    assert len(state) == 60


def test_while_the_length_of_the_input_is_unknown_it_shows_what_is_done():
    bar, _, verdicts, _ = drawn(replace(SMALL, total=None, eta_s=None, verdicts={}), 80)
    assert bar.lstrip("━╺╸ ") == "60 IDs"
    assert verdicts == "no verdicts yet"


STOPPING = replace(
    SMALL, api=api_state(), work=WorkState(open=40, in_flight=10, is_stopping=True, grace_s=29.2)
)


def test_while_the_run_stops_its_last_row_says_how_long_and_how_to_quit():
    assert drawn(STOPPING, 80)[3:] == [
        "stopping: 10 requests in flight, up to 30 s; press Ctrl-C again to quit now"
    ]


def test_where_that_is_too_long_how_to_quit_has_a_row_of_its_own():
    assert drawn(STOPPING, 40)[3:] == [
        "stopping: 10 requests in flight, up to …",
        "press Ctrl-C again to quit now",
    ]


def test_a_run_that_is_blocked_while_it_stops_says_how_to_quit_as_well():
    full = Blocked("exports/x", 12.3, 600.0, "the disk is full", is_full=True)
    assert drawn(replace(STOPPING, blocked=full), 120)[3] == (
        "waiting for space in exports/x (12 s of up to 600 s): the disk is full;"
        " press Ctrl-C again to quit now"
    )


def test_a_directory_that_the_encoding_lacks_takes_no_more_columns():
    full = Blocked("exports/日本", 12.3, None, "the disk is full", is_full=True)
    assert drawn(replace(SMALL, blocked=full), 80, "latin-1")[3] == (
        "waiting for space in exports/?? (12 s): the disk is full"
    )


def read_up_to(expected, terminal):
    """Read what a terminal shows until it has shown this; a terminal hands over what it likes."""
    seen = b""
    while expected not in seen:
        seen += terminal.read(65_536)


def test_it_is_drawn_on_a_terminal_and_cleared_at_the_end(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal, ours = os.openpty()
    with open(ours, "w") as stderr, open(terminal, "rb", buffering=0) as shown:  # noqa: PTH123 - descriptors
        monkeypatch.setattr(sys, "stderr", stderr)
        view = LiveView()
        view.observe(SMALL)
        read_up_to(b"60 of 300 IDs", shown)
        asyncio.run(view.close(SMALL, None))
        read_up_to(b"\x1b[2K", shown)  # a line is erased
    assert sys.stderr is stderr
