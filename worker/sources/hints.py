"""What to give instead, said of an input in which no ID was found: which field or column."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import orjson

from worker.domain.entry import IdRule
from worker.sources.chunks import with_line_feeds
from worker.sources.header import DELIMITERS, names_of, quoted, shown
from worker.sources.kind import Kind

_MOST_LINES = 200
_MOST_DEPTH = 4


def hint(head: bytes, kind: Kind, rule: IdRule) -> str:
    """Return what the beginning of an input shows, as sentences; empty if nothing.

    `kind` is how the input was read.
    """
    lines = _lines(head)
    if fields := _fields(lines, rule):
        return _field_hint(fields, kind)
    if kind is Kind.JSON_LINES:
        return _text_hint(lines, rule, "--field") or "Its lines are no JSON objects."
    if kind is Kind.CSV:
        return _column_hint(lines, rule)
    return _column_hint(lines, rule) or "If these are your IDs, describe them with --id-pattern."


def _lines(head: bytes) -> list[bytes]:
    text = b"".join(with_line_feeds(iter((head,))))
    return [line for line in text.split(b"\n")[:_MOST_LINES] if line.strip()]


def _fields(lines: Sequence[bytes], rule: IdRule) -> Mapping[str, int]:
    """Return the fields of lines that are JSON objects, and how many of these have an ID there."""
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
        else:
            yield path, value


def _field_hint(fields: Mapping[str, int], kind: Kind) -> str:
    what = (
        "Its lines have the fields"
        if kind is Kind.JSON_LINES
        else "It holds JSON Lines with the fields"
    )
    text = f"{what} {shown(list(fields))}."
    holding = [path for path, count in fields.items() if count]
    if len(holding) == 1:
        return f"{text} IDs are in {holding[0]!r}: give --field {quoted(holding[0])}."
    return f"{text} Name the field that holds the IDs with --field."


def _column_hint(lines: Sequence[bytes], rule: IdRule) -> str:
    """Say which columns there are, if the lines look like CSV."""
    first, *rest = lines or [b""]
    delimiter = max(DELIMITERS, key=first.count)
    if delimiter not in first:
        return ""
    names = names_of(_cells(first, delimiter))
    if any(rule.allows(cell) for cell in _cells(first, delimiter)):
        return "It looks like CSV without a header row, with which CSV begins: add one."
    holding = Counter(
        at
        for line in rest
        for at, cell in enumerate(_cells(line, delimiter)[: len(names)])
        if rule.allows(cell)
    )
    text = f"It looks like CSV with the columns {shown(names)}."
    if len(holding) == 1:
        (at,) = holding
        name = names[at] if names.count(names[at]) == 1 and names[at] else str(at + 1)
        return f"{text} IDs are in column {name!r}: give --column {quoted(name)}."
    return f"{text} Name the column that holds the IDs with --column."


def _cells(line: bytes, delimiter: bytes) -> list[bytes]:
    return [cell.strip().strip(b'"') for cell in line.split(delimiter)]


def _text_hint(lines: Sequence[bytes], rule: IdRule, option: str) -> str:
    if any(rule.allows(line.strip()) for line in lines):
        return f"It holds IDs alone, one a line: give them in a file named .txt, without {option}."
    return ""
