"""Suggestions for an input in which no ID was found: which field or column to name."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import orjson

from cxai.core.entry import IdRule
from cxai.sources.chunks import with_line_feeds
from cxai.sources.header import DELIMITERS, NAME_THE_COLUMN, SEP, names_of, shown

_MOST_LINES = 200
_MOST_DEPTH = 4

_PLAIN_LIST = "It is a plain list of IDs, one per line: use a .txt file without --field."
_NO_OBJECTS = (
    "Its lines are not JSON objects. JSON Lines has one object per line; `jq -c .` converts other"
    " JSON."
)


def hint_for_text(lines: Sequence[bytes], rule: IdRule) -> str:
    """Return a suggestion for lines that were read as text."""
    return (
        _field_hint(lines, rule, "It contains JSON Lines with the fields")
        or _column_hint(lines, rule, "It looks like CSV with the columns")
        or "If these are your IDs, describe their form with --id-pattern."
    )


def hint_for_table(lines: Sequence[bytes], rule: IdRule) -> str:
    """Return a suggestion for lines that were read as CSV; empty if there is none."""
    return (
        _field_hint(lines, rule, "It contains JSON Lines with the fields")
        or _delimiter_hint(lines)
        or _column_hint(lines, rule, "Its columns are")
    )


def hint_for_json_lines(lines: Sequence[bytes], rule: IdRule) -> str:
    """Return a suggestion for lines that were read as JSON Lines."""
    return (
        _field_hint(lines, rule, "Its lines have the fields")
        or (any(rule.allows(line.strip()) for line in lines) and _PLAIN_LIST)
        or _NO_OBJECTS
    )


def binary_hint(head: bytes) -> str:
    """Return a suggestion for an input that contains NUL bytes; empty if it contains none."""
    if b"\0" not in head:
        return ""
    return (
        "It contains NUL bytes, so it is binary data or UTF-16. Convert UTF-16 with"
        " `iconv -f UTF-16LE -t UTF-8`."
    )


def column_hint(head: bytes, rule: IdRule) -> str:
    """Return which column to name: the one with IDs, if exactly one has them."""
    return _column_with_ids(first_lines(head), rule) or NAME_THE_COLUMN


def first_lines(head: bytes) -> list[bytes]:
    """Return the first lines of an input, without blank ones."""
    text = b"".join(with_line_feeds(iter((head,))))
    lines = [line for line in text.split(b"\n")[:_MOST_LINES] if line.strip()]
    return lines[1:] if lines and SEP.fullmatch(lines[0]) else lines


def _fields(lines: Sequence[bytes], rule: IdRule) -> Mapping[str, int]:
    """Return the fields of all JSON objects in the lines, and how many IDs are in each."""
    found: Counter[str] = Counter()
    for line in lines:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict):
            for path, value in islice(_leaves(row), 1_000):
                is_id = isinstance(value, str) and rule.allows(value.encode())
                found[path] += is_id
    return found


def _leaves(
    row: Mapping[str, object], prefix: str = "", depth: int = 1
) -> Iterator[tuple[str, object]]:
    for key, value in row.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < _MOST_DEPTH:
            yield from _leaves(value, f"{path}.", depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], dict | str):
            yield f"{path}[]", value
        else:
            yield path, value


def _field_hint(lines: Sequence[bytes], rule: IdRule, begin: str) -> str:
    """Name the fields, if the lines are JSON objects."""
    if not (fields := _fields(lines, rule)):
        return ""
    text = f"{begin} {shown(list(fields))}."
    holding = [path for path, count in fields.items() if count]
    if len(holding) == 1:
        return f"{text} The IDs are in {holding[0]!r}: use --field {shlex.quote(holding[0])}."
    lists = [path for path in fields if path.endswith("[]")]
    if not holding and len(lists) == 1:
        path = shlex.quote(f".{lists[0]}")
        return f"{text} Write each element of the list to its own line first: `jq -c {path}`."
    return f"{text} Name the field that contains the IDs with --field."


def _delimiter_hint(lines: Sequence[bytes]) -> str:
    first, *rest = lines or [b""]
    marks = [mark for mark in DELIMITERS if mark in first]
    others = [mark for mark in DELIMITERS if rest and all(mark in line for line in rest)]
    if marks and others and marks[0] not in others:
        return (
            f"Its header row is separated by {marks[0].decode()!r}, but its other rows by"
            f" {others[0].decode()!r}. Use one separator throughout."
        )
    return ""


def _column_hint(lines: Sequence[bytes], rule: IdRule, begin: str) -> str:
    """Name the columns, if the lines look like CSV."""
    first = lines[0] if lines else b""
    delimiter = max(DELIMITERS, key=first.count)
    if delimiter not in first:
        return ""
    cells = _cells(first, delimiter)
    if any(map(rule.allows, cells)):
        return "It looks like CSV without a header row. Add a row of column names."
    found = _column_with_ids(lines, rule) or NAME_THE_COLUMN
    return f"{begin} {shown(names_of(cells))}. {found}"


def _column_with_ids(lines: Sequence[bytes], rule: IdRule) -> str:
    """Name the column with IDs, if exactly one has them."""
    first, *rest = lines or [b""]
    delimiter = max(DELIMITERS, key=first.count)
    names = names_of(_cells(first, delimiter))
    holding = {
        at
        for line in rest
        for at, cell in enumerate(_cells(line, delimiter)[: len(names)])
        if rule.allows(cell)
    }
    if len(holding) != 1:
        return ""
    (at,) = holding
    name = names[at] if names.count(names[at]) == 1 and names[at] else str(at + 1)
    return f"The IDs are in column {name!r}: use --column {shlex.quote(name)}."


def _cells(line: bytes, delimiter: bytes) -> list[bytes]:
    return [cell.strip().strip(b'"') for cell in line.split(delimiter)]
