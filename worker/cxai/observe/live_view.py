"""Progress on a terminal: a live bar, and below it what the run does."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cxai.core.events import Event
from cxai.core.figures import duration, significant
from cxai.core.run_state import RunState
from cxai.observe.options import Progress
from cxai.observe.setup import Setup
from cxai.observe.state_text import sentence
from cxai.observe.stderr import takes_a_line

if TYPE_CHECKING:
    from rich.console import OverflowMethod

_LEAST_BAR, _MOST_BAR = 8, 30
_GAP = "  "
_QUIT = "press Ctrl-C again to quit now"


def open_observer(setup: Setup) -> "LiveView | None":
    """Return it if progress is to be shown as a bar."""
    return LiveView() if setup.progress.shown is Progress.BAR else None


class LiveView:
    """Draws the verdicts, the pace, and why the run waits, on standard error."""

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
        if takes_a_line():
            self._live.start()
            console = self._live.console
            self._live.update(drawing(state, console.width, console.encoding), refresh=True)

    def see(self, _event: Event) -> None:
        """Do nothing: the log writes events above the bar, the state shows the rest."""

    async def close(self, _last: RunState, _report: Mapping[str, Any] | None) -> None:
        self._live.stop()


def drawing(state: RunState, width: int, encoding: str = "utf-8") -> Any:
    """Return four or five rows that fit `width` columns; what does not fit is cut short.

    What the terminal's encoding lacks becomes a question mark: an escape would be wider.
    """
    from rich.console import Group  # noqa: PLC0415
    from rich.progress_bar import ProgressBar as Bar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    overflow: OverflowMethod = "ellipsis" if encoding.startswith("utf") else "crop"

    def row(text: str, style: str = "") -> Text:
        shown = text.encode(encoding, "replace").decode(encoding)
        return Text(shown, style=style, no_wrap=True, overflow=overflow)

    counts = _how_far(state)
    bar_width = max(_LEAST_BAR, min(_MOST_BAR, width - len(counts) - len(_GAP)))
    completed = state.done if state.total else 0
    first = Table.grid()
    first.add_row(
        Bar(total=state.total or 1, completed=completed, width=bar_width), row(_GAP + counts)
    )
    pace = (
        f"{significant(state.requests_per_s, 3)} requests/s of {significant(state.api.rate, 3)},"
        f" {state.work.in_flight:,} in flight"
    )
    verdicts = "  ".join(f"{name} {n:,}" for name, n in sorted(state.verdicts.items()))
    style = "yellow" if state.kind.is_held_up else "dim"
    last = [row(text, style) for text in _what_it_does(state, width)]
    return Group(first, row(pace), row(verdicts or "no verdicts yet"), *last)


def _what_it_does(state: RunState, width: int) -> list[str]:
    """Return the sentence of the state, and while the run stops, how to quit: never cut short."""
    text = sentence(state)
    if not state.work.is_stopping or state.work.is_done:
        return [text]
    both = f"{text}; {_QUIT}"
    return [both] if len(both) <= width else [text, _QUIT]


def _how_far(state: RunState) -> str:
    share = f"{state.done / state.total:4.0%} ".lstrip() if state.total else ""
    of = f" of {state.total:,}" if state.total is not None else ""
    left = f"{_GAP}{duration(state.eta_s)} left" if state.eta_s is not None else ""
    return f"{share}{state.done:,}{of} IDs{left}"
