"""Tables, columns and their types: what JSON Schema, SQL and Markdown are made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Scalar(StrEnum):
    """The type of a single value."""

    TEXT = "text"
    DOUBLE = "double"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    JSON_TEXT = "json text"  # a text that holds JSON
    JSON_OBJECT = "json object"  # an object with any keys


@dataclass(frozen=True, slots=True)
class Struct:
    """An object with known fields."""

    title: str
    comment: str
    columns: "tuple[Column, ...]"


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array of objects."""

    element: Struct


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, or a field of an object in one; the key of an `optional` may be absent.

    `rules` are keywords of JSON Schema beyond the type: `const`, `enum`, `minimum`, `format`.
    """

    name: str
    type: Scalar | Struct | ListOf
    comment: str
    nullable: bool = False
    optional: bool = False
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A part set: its name, a description of its rows, and its columns in order."""

    name: str
    comment: str
    columns: tuple[Column, ...]

    def structs(self) -> Iterator[Struct]:
        """Yield each struct in its columns once, outer before inner."""
        seen: dict[str, Struct] = {}
        _collect(self.columns, seen)
        yield from seen.values()


def _collect(columns: tuple[Column, ...], seen: dict[str, Struct]) -> None:
    for column in columns:
        struct = column.type.element if isinstance(column.type, ListOf) else column.type
        if isinstance(struct, Struct) and struct.title not in seen:
            seen[struct.title] = struct
            _collect(struct.columns, seen)
