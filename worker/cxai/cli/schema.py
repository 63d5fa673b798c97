"""`cxai schema`: what the lines of an export look like, for programs and for databases."""

import click

from cxai.cli.help import Argument, Option, Page
from cxai.cli.streams import json_text, tell
from cxai.cli.values import Value, metavar_of
from cxai.errors import UsageError
from cxai.resources.options import Shape
from cxai.settings.choices import Choice
from cxai.settings.settings import OUTPUT

SETS = Choice.of(("records", "interactions", "scores", "segments", "failures"))
DIALECTS = Choice.of(("duckdb", "postgres", "bigquery", "snowflake", "redshift", "spark"))
SHAPES = Choice.of(Shape)


@click.command(
    cls=Page,
    params=[
        Argument(
            ["part_set"], required=False, type=Value(SETS), metavar="[SET]", group=OUTPUT,
            help=f"Set of parts: {', '.join(SETS.choices)}. Without it: records, or with --ddl all"
            " sets of the shape.",
        ),
        Option(
            ["--ddl"], type=Value(DIALECTS), metavar=metavar_of(DIALECTS), group=OUTPUT,
            help="Print CREATE TABLE statements in this dialect.",
        ),
        Option(
            ["--shape"], type=Value(SHAPES), metavar=metavar_of(SHAPES), group=OUTPUT,
            help="Shape of the export, with --ddl.", default_text=Shape.TABLES,
        ),
        Option(["--markdown"], is_flag=True, group=OUTPUT, help="Print all sets as a page."),
    ],
    examples=["cxai schema", "cxai schema scores --ddl bigquery"],
)  # fmt: skip
def schema(*, part_set: str | None, ddl: str | None, shape: Shape | None, markdown: bool) -> None:
    """Print the JSON Schema of the lines in a set of parts, or SQL that declares its table."""
    from cxai.resources.cx_ai.schema import json_schema
    from cxai.resources.cx_ai.schema import markdown as page

    if ddl is not None and not markdown:
        tell(_statements(part_set, ddl, shape))
        return
    if shape is not None or ddl is not None:
        raise UsageError("--shape needs --ddl, and neither goes with --markdown.")
    sets = {**json_schema(Shape.NESTED), **json_schema(Shape.TABLES)}
    tell(page().rstrip("\n") if markdown else json_text(sets[part_set or "records"]))


def _statements(part_set: str | None, dialect: str, shape: Shape | None) -> str:
    """Return the CREATE TABLE statements of a set, or of all sets of a shape."""
    from cxai.resources.cx_ai.schema import Dialect, ddl, tables_of

    shapes = list(Shape) if shape is None else [shape]
    if part_set is None:
        tables = tables_of(shape or Shape.TABLES)
    else:
        tables = tuple(t for s in shapes for t in tables_of(s) if t.name == part_set)[:1]
        if not tables:
            known = ", ".join(table.name for table in tables_of(shapes[0]))
            raise UsageError(f"Shape {shape} has no set {part_set!r}. Its sets are {known}.")
    return "\n\n".join(ddl(table, Dialect(dialect)) for table in tables)
