"""The live bar, as it stands on terminals of several widths."""

from dataclasses import replace

import pytest
from rich.console import Console

from cxai.observe.progress import _drawing
from cxai.observe.snapshot import Snapshot

SMALL = Snapshot(
    elapsed_s=3.0,
    done=60,
    total=300,
    verdicts={"invalid_id": 1, "not_found": 2, "ok": 57, "processing_failed": 1},
    rate_now=23.4567,
    rate_allowed=20.0,
    in_flight=5,
    eta_s=14.2,
    state="paused for 1 s: the API asked for fewer requests",
)
LARGE = replace(
    SMALL,
    done=1_234_567,
    total=10_000_000,
    verdicts=dict.fromkeys(("exhausted", "not_found", "ok", "rejected", "too_large"), 1_000_000),
    rate_now=1_234.5678,
    rate_allowed=3.3333333,
    in_flight=1_024,
    eta_s=300_000.0,
    state="slowed to 2.5 of 20 requests/s and 3 of 10 in flight: the API refuses more",
)


def drawn(snapshot, width):
    """Return the rows that a terminal of this width shows."""
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(_drawing(snapshot, width))
        return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("snapshot", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_has_four_rows_whatever_the_width(snapshot, width):
    rows = drawn(snapshot, width)
    assert len(rows) == 4
    assert max(map(len, rows)) <= width


def test_each_row_tells_one_thing():
    bar, pace, verdicts, state = drawn(SMALL, 80)
    assert bar.lstrip("━╺╸ ") == "20% 60 of 300 IDs  14 s left"
    assert pace == "23.5 requests/s of 20, 5 in flight"
    assert verdicts == "invalid_id 1  not_found 2  ok 57  processing_failed 1"
    assert state == SMALL.state


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
