"""`cxai schema`: what the lines of an export look like, for programs and for databases."""

from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from cxai.cli.streams import json_text, tell
from cxai.errors import UsageError

Choice = TypeVar("Choice", bound=StrEnum)


def schema(
    part_set: Annotated[
        str | None,
        typer.Argument(
            metavar="[SET]",
            help="records, interactions, scores, segments or failures; by default records, and"
            " with --ddl all sets of the shape.",
            show_default=False,
        ),
    ] = None,
    ddl: Annotated[
        str | None,
        typer.Option(
            metavar="DIALECT",
            help="CREATE TABLE statements instead: duckdb, postgres, bigquery, snowflake, redshift"
            " or spark.",
        ),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="With --ddl: tables (the default) or nested.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page, all sets.")] = False,
) -> None:
    """Print the JSON Schema of the lines in a set of parts, or SQL that declares its table."""
    from cxai.resources.cx_ai.schema import json_schema
    from cxai.resources.cx_ai.schema import markdown as page
    from cxai.resources.options import Shape

    if ddl is not None and not markdown:
        tell(_statements(part_set, ddl, shape))
        return
    sets = {**json_schema(Shape.NESTED), **json_schema(Shape.TABLES)}
    if shape is not None or ddl is not None:
        raise UsageError("--ddl and --shape go together, and without --markdown.")
    if (part_set or "records") not in sets:
        raise UsageError(f"There is no set {part_set!r}, but {', '.join(sets)}.")
    tell(page().rstrip("\n") if markdown else json_text(sets[part_set or "records"]))


def _statements(part_set: str | None, ddl_: str, shape: str | None) -> str:
    """Return the CREATE TABLE statements of a set, or of all sets of a shape."""
    from cxai.resources.cx_ai.layout import PART_SETS
    from cxai.resources.cx_ai.schema import Dialect, ddl, tables_of
    from cxai.resources.options import Shape

    dialect = _one_of(Dialect, ddl_, "--ddl")
    shapes = list(Shape) if shape is None else [_one_of(Shape, shape, "--shape")]
    if part_set is None:
        tables = tables_of(Shape.TABLES if shape is None else shapes[0])
    else:
        tables = tuple(t for s in shapes for t in tables_of(s) if t.name == part_set)[:1]
        if not tables:
            known = dict.fromkeys(name for s in shapes for name in PART_SETS[s])
            raise UsageError(f"There is no set {part_set!r} here, but {', '.join(known)}.")
    return "\n\n".join(ddl(table, dialect) for table in tables)


def _one_of(choices: type[Choice], text: str, option: str) -> Choice:
    try:
        return choices(text)
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise UsageError(f"{option} {text!r} is not understood; known are {known}.") from None
