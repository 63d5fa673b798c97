"""CREATE TABLE statements for the part sets, in the SQL of several databases.

Columns are in the order of the rows' keys, so that rows can be loaded by name and by position.
There are no keys and no checks, which a load could violate; NOT NULL is for columns of every row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cxai.resources.cx_ai.schema.table import Column, ListOf, Scalar, Struct, Table


class Dialect(StrEnum):
    """The database whose SQL to write."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    BIGQUERY = "bigquery"
    SNOWFLAKE = "snowflake"
    REDSHIFT = "redshift"
    SPARK = "spark"


@dataclass(frozen=True, slots=True)
class _Types:
    """The type names of a database.

    JSON as text stays text, so that it is loaded unchanged; only Redshift has no text type that is
    long enough. `struct` and `array` are None if objects are loaded into a JSON column, because
    there are no such types, or because an array can't be null (BigQuery).
    """

    scalars: Mapping[Scalar, str]
    struct: tuple[str, str, str] | None = None  # begin, between a field's name and type, end
    array: tuple[str, str] | None = None  # begin, end


def _scalars(*names: str) -> Mapping[Scalar, str]:
    """Return type names, given in the order of `Scalar`, by type."""
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
        # VARCHAR alone has 256 bytes there.
        _scalars(
            "VARCHAR(65535)",
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
    """Return the CREATE TABLE statement of a part set; an existing table is left unchanged."""
    begin = f"-- {_comment(table.comment)}\nCREATE TABLE IF NOT EXISTS {table.name} (\n"
    return begin + "\n".join(_lines(table.columns, _TYPES[dialect])) + "\n);"


def _lines(columns: tuple[Column, ...], types: _Types) -> Iterator[str]:
    for position, column in enumerate(columns, start=1):
        needed = "" if column.nullable or column.optional else " NOT NULL"
        comma = "" if position == len(columns) else ","
        declared = f"{column.name} {_type(column, types)}{needed}{comma}"
        yield f"    {declared} -- {_comment(column.comment)}"


def _comment(text: str) -> str:
    return text.replace(";", ",")  # some clients end a statement at any semicolon


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
