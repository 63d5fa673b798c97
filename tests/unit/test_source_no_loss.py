"""Every ID of an input is read or something is rejected, whatever the input looks like."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxai.core.entry import IdRule, IgnoredLine
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.jsonl import items_of_jsonl
from cxai.sources.table import items_of_table
from cxai.sources.text import items_of_text

A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"
C = "0aa52d6b-6a5d-4fc5-bd3d-5c50f3e4b9d7"

KNOWN_ENDS = ["\n", "\r\n", "\r", "\r\r\n", "\n\n"]
ODD_ENDS = ["\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\0"]
ENDS = st.sampled_from(KNOWN_ENDS + ODD_ENDS)
ANY_END = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029\0]")


def read(parser, text, *arguments):
    """Return the IDs that are read; None if anything is rejected or fails."""
    data = text.encode()
    chunks = (data[start : start + 11] for start in range(0, len(data), 11))
    try:
        items = [i for block in parser(chunks, "ids", IdRule(), *arguments) for i in block]
    except (InputBrokenError, UsageError):
        return None
    entries = [item for item in items if not isinstance(item, IgnoredLine)]
    return None if any(entry.invalid for entry in entries) else {entry.id for entry in entries}


def joined(rows, ends):
    return "".join(row + end for row, end in zip(rows, ends, strict=True))


@given(st.lists(st.tuples(st.sampled_from([A, B, C, f" {A}", "# x", "#", ""]), ENDS), max_size=8))
def test_no_line_break_makes_an_id_of_a_text_disappear(lines):
    text = "".join(line + end for line, end in lines)
    found = read(items_of_text, text)
    there = {part.strip() for part in ANY_END.split(text) if part[:1] not in ("", "#")} - {""}
    assert found is None or found == there


TABLE_ROWS = {
    "id": st.sampled_from([A, B, C, f'"{A}"']),
    "id,x": st.sampled_from([f"{A},1", f"{B},", f'{C},"1"', C, f'{A},"', f'{B},"x', f'{B},x"']),
    "x,id": st.sampled_from([f"1,{A}", f",{B}", f'"1",{C}', f'"1,{A}', f'x",{B}', f'"",{C}']),
    "x,id,y": st.sampled_from(
        [f"1,{A},", f",{B},2", f'"1",{C},"y"', f'"1,{A},', f'x,{B},"', f'",{C},']
    ),
}


@pytest.mark.parametrize("header", TABLE_ROWS)
@settings(derandomize=True)
@given(st.data())
def test_no_line_break_or_quote_makes_an_id_of_a_table_disappear(header, data):
    rows = data.draw(st.lists(TABLE_ROWS[header], max_size=6))
    ends = data.draw(st.lists(ENDS, min_size=len(rows), max_size=len(rows)))
    first = data.draw(ENDS)
    found = read(items_of_table, header + first + joined(rows, ends), "id")
    there = {one for row in rows for one in (A, B, C) if one in row}
    assert found is None or found == there


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), ENDS), max_size=6))
def test_no_line_break_makes_an_id_of_json_lines_disappear(lines):
    text = "".join(f'{{"id":"{one}"}}{end}' for one, end in lines)
    found = read(items_of_jsonl, text, "id")
    assert found is None or found == {one for one, _ in lines}
