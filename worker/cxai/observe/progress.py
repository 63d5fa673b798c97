"""Progress on standard error: a live bar on a terminal, a structured line elsewhere."""

from typing import Any, Protocol, Self

from cxai.observe.logging import LOG, stderr_takes
from cxai.observe.snapshot import Snapshot, short

_LEAST_BAR, _MOST_BAR = 8, 30
_GAP = "  "

_NOT_AS_IT_SHOULD = ("outage", "paused", "slowed", "waiting", "stopping", "stalled")


class ProgressView(Protocol):
    """Shows snapshots while it is entered."""

    interval_s: float

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def show(self, snapshot: Snapshot) -> None:
        """Show how far the run is."""
        ...


class NoProgress:
    """Shows nothing."""

    interval_s = 3600.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return

    def show(self, snapshot: Snapshot) -> None:
        """Show nothing."""


class ProgressLines:
    """One structured log line every `interval_s` seconds."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return

    def show(self, snapshot: Snapshot) -> None:
        """Write the line."""
        LOG.info("progress", **snapshot.as_dict())


class ProgressBar:
    """A live bar with the verdicts, the pace, and why it waits when it waits."""

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

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw it, unless the terminal is stopped."""
        if stderr_takes():
            self._live.update(_drawing(snapshot, self._live.console.width), refresh=True)


def _drawing(snapshot: Snapshot, width: int) -> Any:
    """Return four rows that fit `width` columns, the least of them cut short."""
    from rich.console import Group  # noqa: PLC0415
    from rich.progress_bar import ProgressBar as Bar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def row(text: str, style: str = "") -> Text:
        return Text(text, style=style, no_wrap=True, overflow="ellipsis")

    total = snapshot.total
    share = f"{snapshot.done / total:4.0%}" if total else ""
    of = f"{snapshot.done:,} of {total:,} IDs" if total is not None else f"{snapshot.done:,} IDs"
    counts = "  ".join(filter(None, (f"{share} {of}".lstrip(), _left(snapshot))))
    bar_width = max(_LEAST_BAR, min(_MOST_BAR, width - len(counts) - len(_GAP)))
    first = Table.grid()
    first.add_row(
        Bar(total=total or 1, completed=snapshot.done if total else 0, width=bar_width),
        row(_GAP + counts),
    )
    pace = (
        f"{short(snapshot.rate_now, 3)} requests/s of {short(snapshot.rate_allowed, 3)},"
        f" {snapshot.in_flight:,} in flight"
    )
    verdicts = "  ".join(f"{name} {n:,}" for name, n in snapshot.verdicts.items())
    style = "yellow" if snapshot.state.startswith(_NOT_AS_IT_SHOULD) else "dim"
    return Group(first, row(pace), row(verdicts or "no verdicts yet"), row(snapshot.state, style))


def _left(snapshot: Snapshot) -> str:
    return "" if snapshot.eta_s is None else f"{duration(snapshot.eta_s)} left"


def duration(seconds: float) -> str:
    """Return a time span as people say it: `42 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds, minutes and hours are what they are
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"  # noqa: PLR2004
    minutes, second = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {second:02d} s"
    hours, minute = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minute:02d} min"
    return f"{hours // 24} d {hours % 24} h"
