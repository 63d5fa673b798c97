"""CREATE TABLE statements for the sets of parts, in the SQL of several databases.

Columns stand in the order of the rows' keys, so that rows can be loaded by name and by position.
Nothing is declared that a database would not enforce or that a load could stumble over: no keys, no
checks; NOT NULL only for what no row lacks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cxai.resources.cx_ai.schema.columns import Column, ListOf, Scalar, Struct, Table


class Dialect(StrEnum):
    """Whose SQL."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    BIGQUERY = "bigquery"
    SNOWFLAKE = "snowflake"
    REDSHIFT = "redshift"
    SPARK = "spark"


@dataclass(frozen=True, slots=True)
class _Types:
    """What a database calls the types.

    JSON as text stays text, so that a load puts it there as it is; only Redshift has no text that
    is long enough. `struct` and `array` are None where objects go into a column of any JSON:
    because there are no such types, or, with BigQuery, because an array there can't be null.
    """

    scalars: Mapping[Scalar, str]
    struct: tuple[str, str, str] | None = None
    """What begins a struct, stands between name and type of a field, and ends the struct."""
    array: tuple[str, str] | None = None


def _scalars(*names: str) -> Mapping[Scalar, str]:
    """Return the names of the types by type; they are given in the order of `Scalar`."""
    return dict(zip(Scalar, names, strict=True))


_TYPES = {
    Dialect.DUCKDB: _Types(
        _scalars("VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "TIMESTAMPTZ", "VARCHAR", "JSON"),
        struct=("STRUCT(", " ", ")"),
        array=("", "[]"),
    ),
    Dialect.POSTGRES: _Types(
        _scalars("text", "double precision", "bigint", "boolean", "timestamptz", "text", "jsonb")
    ),
    Dialect.BIGQUERY: _Types(
        _scalars("STRING", "FLOAT64", "INT64", "BOOL", "TIMESTAMP", "STRING", "JSON")
    ),
    Dialect.SNOWFLAKE: _Types(
        _scalars("VARCHAR", "DOUBLE", "BIGINT", "BOOLEAN", "TIMESTAMP_TZ", "VARCHAR", "VARIANT")
    ),
    Dialect.REDSHIFT: _Types(
        _scalars(
            "VARCHAR(65535)",  # VARCHAR alone has 256 bytes there
            "DOUBLE PRECISION",
            "BIGINT",
            "BOOLEAN",
            "TIMESTAMPTZ",
            "SUPER",
            "SUPER",
        )
    ),
    Dialect.SPARK: _Types(
        # An object that is read into a STRING becomes its JSON text.
        _scalars("STRING", "DOUBLE", "BIGINT", "BOOLEAN", "TIMESTAMP", "STRING", "STRING"),
        struct=("STRUCT<", ": ", ">"),
        array=("ARRAY<", ">"),
    ),
}


def ddl(table: Table, dialect: Dialect) -> str:
    """Return the CREATE TABLE statement of a set of parts; a table that exists is left alone."""
    begin = f"-- {_comment(table.comment)}\nCREATE TABLE IF NOT EXISTS {table.name} (\n"
    return begin + "\n".join(_lines(table.columns, _TYPES[dialect])) + "\n);"


def _lines(columns: tuple[Column, ...], types: _Types) -> Iterator[str]:
    for position, column in enumerate(columns, start=1):
        needed = "" if column.nullable or column.optional else " NOT NULL"
        comma = "" if position == len(columns) else ","
        declared = f"{column.name} {_type(column, types)}{needed}{comma}"
        yield f"    {declared} -- {_comment(column.comment)}"


def _comment(text: str) -> str:
    # Some clients end a statement at any semicolon.
    return text.replace(";", ",")


def _type(column: Column, types: _Types) -> str:
    match column.type:
        case Struct() as struct:
            return _struct(struct, types)
        case ListOf(element=element):
            if types.array is None:
                return types.scalars[Scalar.JSON_OBJECT]
            before, after = types.array
            return f"{before}{_struct(element, types)}{after}"
        case scalar:
            return types.scalars[scalar]


def _struct(struct: Struct, types: _Types) -> str:
    if types.struct is None:
        return types.scalars[Scalar.JSON_OBJECT]
    begin, between, end = types.struct
    fields = (f"{column.name}{between}{_type(column, types)}" for column in struct.columns)
    return f"{begin}{', '.join(fields)}{end}"
