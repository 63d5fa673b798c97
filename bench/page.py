"""What was found, as text: sections that read well on a terminal and as Markdown."""

from collections.abc import Iterable, Sequence
from statistics import median
from textwrap import fill

from bench.measurement import interpreter


def section(title: str, how: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a section that says how its table was measured, and by which Python."""
    how = fill(f"{how} {interpreter()}.", 100, break_on_hyphens=False)
    return f"## {title}\n\n{how}\n\n{table(header, rows)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns in line; a short row is filled up."""
    full = [(*row, *[""] * (len(header) - len(row))) for row in (header, *rows)]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in full]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(map(str.ljust, row, widths))} |\n" for row in cells)


def spread(figures: Iterable[float], form: str) -> str:
    """Return `median (least-greatest)`, each in a form such as `.2f`; one figure stands alone."""
    ordered = sorted(figures)
    middle, least, most = (f"{one:{form}}" for one in (median(ordered), ordered[0], ordered[-1]))
    return middle if len(ordered) == 1 else f"{middle} ({least}–{most})"  # noqa: RUF001
