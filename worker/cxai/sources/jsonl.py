"""JSON Lines: one object per line, with the ID in one of its fields."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from cxai.core.entry import Fault, IdRule, IgnoredLine, SourceItem
from cxai.sources.lines import MAX_LINE_BYTES, Overlong, numbered_lines
from cxai.sources.options import DEFAULT_NAMES

_ABSENT = object()


def items_of_jsonl(
    chunks: Iterator[bytes], name: str, rule: IdRule, field: str | None = None
) -> Iterator[list[SourceItem]]:
    """Yield one item for each line, as `object_reader` reads it, in blocks as chunks arrive.

    A line of more than MAX_LINE_BYTES is rejected. Raises InputBrokenError.
    """
    item = object_reader(rule, field)
    for first, lines in numbered_lines(chunks, MAX_LINE_BYTES, name):
        if isinstance(lines, Overlong):
            yield [lines.refused(rule, name, first)]
        else:
            yield [item(line, name, number) for number, line in enumerate(lines, first)]


def object_reader(
    rule: IdRule, field: str | None = None
) -> Callable[[bytes, str, int], SourceItem]:
    """Return a function `item(line, source, number)` that reads one object.

    `field` is a key, or a path of keys joined by dots (`call.interaction_id`). Without it, the ID
    is in the first of DEFAULT_NAMES that is present and not null. A line of white space is BLANK.
    Rejected, each for its own reason: a line that is not JSON, lacks the field, has it twice, or
    has something other than a string there.
    """
    fields = (field,) if field is not None else DEFAULT_NAMES
    absent = Fault(f"has no field {' or '.join(map(repr, fields))}")
    leaves = [f'"{one.rpartition(".")[2]}"'.encode() for one in fields]
    keys = frozenset(key for one in fields for key in (one, *one.split(".")))

    def item(line: bytes, source: str, number: int) -> SourceItem:
        if not line.strip():
            return IgnoredLine.BLANK
        try:
            row: Any = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            return rule.refused(line, source, number, Fault(f"is not JSON ({error.msg})"))
        # A key spelled with escapes can't be counted.
        may_be_twice = b"\\" in line or any(line.count(leaf) > 1 for leaf in leaves)
        for one in fields:
            # A key may itself contain dots.
            is_key = isinstance(row, dict) and one in row
            value = row[one] if is_key else _at_path(row, one)
            if value is _ABSENT or (value is None and one is not fields[-1]):
                continue
            if not isinstance(value, str):
                return rule.refused(line, source, number, Fault(f"has no string in field {one!r}"))
            is_path_too = is_key and "." in one and _at_path(row, one) is not _ABSENT
            if (may_be_twice and _has_twice(line, keys)) or is_path_too:
                fault = Fault(f"has a field twice, possibly {one!r}")
                return rule.refused(line, source, number, fault)
            return rule.read(value.encode(), source, number)
        return rule.refused(line, source, number, absent)

    return item


def _at_path(row: Any, field: str) -> Any:
    value: Any = row
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            return _ABSENT
        value = value[key]
    return value


def _has_twice(line: bytes, keys: frozenset[str]) -> bool:
    """Whether an object in the line may have one of `keys` twice, so that an ID would be lost."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        found = [key for key, _ in pairs if key in keys]
        if len(set(found)) < len(found):
            raise _TwiceError

    try:
        json.loads(line, object_pairs_hook=check)
    except (_TwiceError, ValueError, RecursionError):  # of huge numbers and depths
        return True
    return False


class _TwiceError(Exception):
    """An object has a key twice."""
