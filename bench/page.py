"""What was found, as text: tables that read well on a terminal and as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

from bench.machine import interpreter


@dataclass(frozen=True, slots=True)
class Section:
    """What one section found: how it was measured, a table, and what bench/targets.py judges."""

    title: str
    how: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, float]

    def text(self) -> str:
        """Return it as Markdown."""
        how = fill(f"{self.how} {interpreter()}.", 100, break_on_hyphens=False)
        return f"## {self.title}\n\n{how}\n\n{table(self.header, self.rows)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns in line; a short row is filled up."""
    full = [(*row, *[""] * (len(header) - len(row))) for row in (header, *rows)]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in full]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    lines = [" | ".join(map(str.ljust, row, widths)) for row in cells]
    return "".join(f"| {line} |\n" for line in lines)
