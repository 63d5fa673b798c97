"""The lines of each part set as JSON Schema, draft 2020-12."""

from typing import Any

from cxai.resources.cx_ai.schema.columns import tables_of
from cxai.resources.cx_ai.schema.table import Column, ListOf, Scalar, Struct, Table
from cxai.resources.options import Shape

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

TYPES = {
    Scalar.TEXT: "string",
    Scalar.DOUBLE: "number",
    Scalar.INTEGER: "integer",
    Scalar.BOOLEAN: "boolean",
    Scalar.TIMESTAMP: "string",
    Scalar.JSON_TEXT: "string",
    Scalar.JSON_OBJECT: "object",
}


def json_schema(shape: Shape) -> dict[str, Schema]:
    """Return a JSON Schema for each part set that `shape` writes, by the name of the set."""
    return {table.name: _of_table(table) for table in tables_of(shape)}


def _of_table(table: Table) -> Schema:
    schema = {"$schema": _DIALECT, "title": table.name, **_object(table.columns, table.comment)}
    structs = {each.title: _object(each.columns, each.comment) for each in table.structs()}
    return {**schema, "$defs": structs} if structs else schema


def _object(columns: tuple[Column, ...], comment: str) -> Schema:
    return {
        "type": "object",
        "description": comment,
        "properties": {column.name: _value(column) for column in columns},
        "required": [column.name for column in columns if not column.optional],
        "additionalProperties": False,
    }


def _value(column: Column) -> Schema:
    return {**_type(column), **column.rules, "description": column.comment}


def _type(column: Column) -> Schema:
    match column.type:
        case Struct(title=title):
            there = {"$ref": f"#/$defs/{title}"}
            return {"anyOf": [there, {"type": "null"}]} if column.nullable else there
        case ListOf(element=element):
            there = {"$ref": f"#/$defs/{element.title}"}
            return {**_nullable("array", column), "items": there}
        case Scalar.JSON_TEXT:
            return {**_nullable("string", column), "contentMediaType": "application/json"}
        case scalar:
            return _nullable(TYPES[scalar], column)


def _nullable(name: str, column: Column) -> Schema:
    return {"type": [name, "null"] if column.nullable else name}
