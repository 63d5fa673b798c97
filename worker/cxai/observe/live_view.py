"""Progress on a terminal: a live bar."""

from collections.abc import Mapping
from typing import Any

from cxai.core.figures import duration, significant
from cxai.core.run_state import RunState
from cxai.observe.logging import stderr_takes
from cxai.observe.options import Progress
from cxai.observe.setup import Setup
from cxai.observe.state_text import sentence

_LEAST_BAR, _MOST_BAR = 8, 30
_GAP = "  "


def open_observer(setup: Setup) -> "LiveView | None":
    """Return it if progress is to be shown as a bar."""
    return LiveView() if setup.progress.shown is Progress.BAR else None


class LiveView:
    """Draws the verdicts, the pace, and why the run waits when it waits, on standard error."""

    interval_s = 0.25

    def __init__(self) -> None:
        # Rich takes 40 ms to import: only where there is a terminal to draw on.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        self._live = Live(
            console=Console(stderr=True),
            auto_refresh=False,  # its thread would wait for a stopped terminal, holding a lock
            transient=True,
            redirect_stdout=False,
        )

    def observe(self, state: RunState) -> None:
        if stderr_takes():
            self._live.start()
            self._live.update(drawing(state, self._live.console.width), refresh=True)

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        self._live.stop()


def drawing(state: RunState, width: int) -> Any:
    """Return four rows that fit `width` columns, the least of them cut short."""
    from rich.console import Group  # noqa: PLC0415
    from rich.progress_bar import ProgressBar as Bar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def row(text: str, style: str = "") -> Text:
        return Text(text, style=style, no_wrap=True, overflow="ellipsis")

    counts = _how_far(state)
    bar_width = max(_LEAST_BAR, min(_MOST_BAR, width - len(counts) - len(_GAP)))
    completed = state.done if state.total else 0
    first = Table.grid()
    first.add_row(
        Bar(total=state.total or 1, completed=completed, width=bar_width),
        row(_GAP + counts),
    )
    pace = (
        f"{significant(state.requests_per_s, 3)} requests/s of {significant(state.api.rate, 3)},"
        f" {state.work.in_flight:,} in flight"
    )
    verdicts = "  ".join(f"{name} {n:,}" for name, n in sorted(state.verdicts.items()))
    style = "yellow" if state.kind.is_held_up else "dim"
    return Group(first, row(pace), row(verdicts or "no verdicts yet"), row(sentence(state), style))


def _how_far(state: RunState) -> str:
    share = f"{state.done / state.total:4.0%} ".lstrip() if state.total else ""
    of = f" of {state.total:,}" if state.total is not None else ""
    left = f"{_GAP}{duration(state.eta_s)} left" if state.eta_s is not None else ""
    return f"{share}{state.done:,}{of} IDs{left}"
