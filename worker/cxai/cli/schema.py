"""`cxai schema`: what the lines of an export look like, for programs and for databases."""

from enum import StrEnum
from typing import TypeVar

import click

from cxai.cli.help import Argument, Option, Page
from cxai.cli.options import OUTPUT, Typed, metavar_of
from cxai.cli.streams import json_text, tell
from cxai.errors import UsageError
from cxai.resources.options import Shape
from cxai.settings.choices import Choice

Member = TypeVar("Member", bound=StrEnum)

_SETS = Choice.among(("records", "interactions", "scores", "segments", "failures"))
_DIALECTS = Choice.among(("duckdb", "postgres", "bigquery", "snowflake", "redshift", "spark"))
_SHAPES = Choice.of(Shape)


@click.command(
    cls=Page,
    params=[
        Argument(
            ["part_set"], required=False, type=Typed(_SETS), metavar="[SET]", group=OUTPUT,
            help=f"Set of parts: {', '.join(_SETS.choices)}. [default: records; with --ddl, all"
            " sets of the shape]",
        ),
        Option(
            ["--ddl"], type=Typed(_DIALECTS), metavar=metavar_of(_DIALECTS), group=OUTPUT,
            help="Print CREATE TABLE statements in this dialect.",
        ),
        Option(
            ["--shape"], type=Typed(_SHAPES), metavar=metavar_of(_SHAPES), group=OUTPUT,
            help="Shape of the export, with --ddl.", default_text=Shape.TABLES,
        ),
        Option(["--markdown"], is_flag=True, group=OUTPUT, help="Print all sets as a page."),
    ],
    examples=["cxai schema", "cxai schema scores --ddl bigquery"],
)  # fmt: skip
def schema(
    *, part_set: str | None, ddl: str | None, shape: str | None, markdown: bool
) -> None:
    """Print the JSON Schema of the lines in a set of parts, or SQL that declares its table."""
    from cxai.resources.cx_ai.schema import json_schema
    from cxai.resources.cx_ai.schema import markdown as page

    if ddl is not None and not markdown:
        tell(_statements(part_set, ddl, shape))
        return
    sets = {**json_schema(Shape.NESTED), **json_schema(Shape.TABLES)}
    if shape is not None or ddl is not None:
        raise UsageError("--shape needs --ddl, and neither goes with --markdown.")
    if (part_set or "records") not in sets:
        raise UsageError(f"There is no set {part_set!r}. The sets are {', '.join(sets)}.")
    tell(page().rstrip("\n") if markdown else json_text(sets[part_set or "records"]))


def _statements(part_set: str | None, ddl_: str, shape: str | None) -> str:
    """Return the CREATE TABLE statements of a set, or of all sets of a shape."""
    from cxai.resources.cx_ai.layout import PART_SETS
    from cxai.resources.cx_ai.schema import Dialect, ddl, tables_of

    dialect = _one_of(Dialect, ddl_, "--ddl")
    shapes = list(Shape) if shape is None else [_one_of(Shape, shape, "--shape")]
    if part_set is None:
        tables = tables_of(Shape.TABLES if shape is None else shapes[0])
    else:
        tables = tuple(t for s in shapes for t in tables_of(s) if t.name == part_set)[:1]
        if not tables:
            known = dict.fromkeys(name for s in shapes for name in PART_SETS[s])
            raise UsageError(f"There is no set {part_set!r} here. The sets are {', '.join(known)}.")
    return "\n\n".join(ddl(table, dialect) for table in tables)


def _one_of(choices: type[Member], text: str, option: str) -> Member:
    try:
        return choices(text)
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise UsageError(f"{option}: {text!r} can't be used: expected one of {known}.") from None
