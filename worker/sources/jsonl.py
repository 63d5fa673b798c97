"""JSON Lines: one object a line, the ID in one of its fields."""

from collections.abc import Iterator
from typing import Any

import orjson

from worker.domain.entry import IdRule, Item, Skip, refused
from worker.sources.lines import Overlong, numbered_lines

MAX_LINE_BYTES = 1_048_576

DEFAULT_FIELD = "interaction_id"


def items_of_jsonl(
    chunks: Iterator[bytes], name: str, rule: IdRule, field: str = DEFAULT_FIELD
) -> Iterator[list[Item]]:
    """Yield one item for each line, in blocks as their chunks arrive.

    `field` is a key, or a path of keys with dots between them (`call.interaction_id`). A line of
    white space is BLANK. Refused with a reason of its own: what is not JSON, has no such field, has
    something else than a string there, or is longer than MAX_LINE_BYTES.
    Raises InputBrokenError.
    """
    path = field.split(".")

    def item(line: bytes, number: int) -> Item:
        if not line.strip():
            return Skip.BLANK
        try:
            value: Any = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return refused(line, name, number, f"is not JSON ({error.msg})")
        for key in path:
            if not isinstance(value, dict) or key not in value:
                return refused(line, name, number, f"has no field {field!r}")
            value = value[key]
        if not isinstance(value, str):
            return refused(line, name, number, f"field {field!r} is not a string")
        return rule.read(value.encode(), name, number)

    for first, lines in numbered_lines(chunks, MAX_LINE_BYTES, name):
        if isinstance(lines, Overlong):
            yield [lines.refused(name, first)]
        else:
            yield [item(line, number) for number, line in enumerate(lines, first)]
