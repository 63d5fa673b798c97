"""What was found, as text: tables that read well on a terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import fill


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure with its target, and whether it was met."""

    what: str
    target: str
    figure: str
    met: bool


@dataclass(frozen=True, slots=True)
class Section:
    """What one section found: how it was measured, a table, and its claims."""

    title: str
    how: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    claims: Sequence[Claim] = field(default=())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns in line."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def claims_table(claims: Sequence[Claim], *, judged: bool) -> str:
    """Return the table of figures and their targets; a measurement too short is not judged."""
    words = {True: "yes", False: "**no**"} if judged else dict.fromkeys((True, False), "too short")
    rows = [(one.what, one.target, one.figure, words[one.met]) for one in claims]
    return table(("what", "target", "measured", "met"), rows)


def section_text(section: Section, *, judged: bool) -> str:
    """Return a section with its heading and its claims."""
    text = _findings(section)
    return text + (f"\n{claims_table(section.claims, judged=judged)}" if section.claims else "")


def page_text(
    preface: str, facts: dict[str, str], sections: Sequence[Section], *, judged: bool
) -> str:
    """Return the whole page: all claims first, then the sections, then what it ran on."""
    claims = [claim for section in sections for claim in section.claims]
    met = sum(claim.met for claim in claims)
    verdict = f"{met} of {len(claims)} are met.\n\n" if judged else ""
    parts = [
        f"# Benchmarks\n\n{preface}\n",
        f"## Targets\n\n{verdict}{claims_table(claims, judged=judged)}",
        *map(_findings, sections),
        f"## Measured on\n\n{table(('what', 'which'), list(facts.items()))}",
    ]
    return "\n".join(parts)


def _findings(section: Section) -> str:
    how = fill(section.how, 100, break_on_hyphens=False, break_long_words=False)
    return f"## {section.title}\n\n{how}\n\n{table(section.header, section.rows)}"
