import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine
from cxai.sources.jsonl import MAX_LINE_BYTES, items_of_jsonl

A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"


def items(data, field="interaction_id", size=65_536):
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    blocks = items_of_jsonl(chunks, "ids.jsonl", IdRule(), field)
    return [item for block in blocks for item in block]


def reason(line, field="interaction_id"):
    [entry] = items(line, field)
    return str(entry.invalid)


def row(value):
    return orjson.dumps({"interaction_id": value}) + b"\n"


def test_the_field_of_each_line_is_an_id():
    data = row(A) + b'{"n": 1, "interaction_id": "%b"}' % B.encode()
    assert [(entry.line, entry.id, entry.invalid) for entry in items(data)] == [
        (1, A, None),
        (2, B, None),
    ]


def test_a_path_of_keys_leads_to_a_nested_field():
    data = orjson.dumps({"call": {"ids": {"cx": A}}})
    assert [entry.id for entry in items(data, "call.ids.cx")] == [A]
    assert reason(data, "call.cx") == "has no field 'call.cx'"
    assert reason(data, "call.ids.cx.more") == "has no field 'call.ids.cx.more'"
    assert reason(data, "call.ids") == "has no string in field 'call.ids'"


def test_blank_lines_and_crlf_are_accepted_but_comments_are_not():
    blank, entry, comment = items(b"  \r\n" + row(A).replace(b"\n", b"\r\n") + b"# no\n")
    assert (blank, entry.id, entry.line) == (IgnoredLine.BLANK, A, 2)
    assert str(comment.invalid).startswith("is not JSON (")


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        A.encode(),
        b'{"interaction_id":"\xff"}',
        b'{"interaction_id":"\\ud800"}',
        b'{"interaction_id":"\\udc00\\ud800"}',
        b'{"interaction_id":"a\0"}',
        b'{"interaction_id":NaN}',
        b"[" * 2_000,
        row(A).strip() * 2,
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_line_that_is_not_json_is_rejected_with_a_reason_that_quotes_nothing(line):
    why = reason(line)
    assert why.startswith("is not JSON (")
    assert A not in why


@pytest.mark.parametrize("line", [b"{}", b"[]", b"null", b"7", b'"%b"' % A.encode(), b'{"Id":"a"}'])
def test_a_line_without_the_field_is_rejected(line):
    assert reason(line) == "has no field 'interaction_id'"


@pytest.mark.parametrize("value", [None, 7, 2**63, 1.5, True, [A], {"id": A}])
def test_a_field_that_is_not_a_string_is_rejected(value):
    assert reason(row(value)) == "has no string in field 'interaction_id'"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "..",
        "%2e%2e",
        "a/b",
        "?",
        "#",
        A + "\n",
        A + "\r\n",
        "\n" + A,
        A + "\0",
        A + "\u2028",
        "\N{ARABIC-INDIC DIGIT THREE}" + A[1:],
        "x" * 9_000,
    ],
)
def test_a_string_that_is_not_an_id_is_rejected(value):
    assert reason(row(value)).startswith("is not a GUID: ")


def test_escapes_in_an_id_are_decoded():
    line = '{"interaction_id":"\\u0033' + A[1:] + '"}'
    assert [entry.id for entry in items(line.encode())] == [A]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"interaction_id": A}, A),
        ({"interactionIdentifier": A}, A),
        ({"interactionIdentifier": B, "interaction_id": A}, A),
        ({"interaction_id": None, "interactionIdentifier": A}, A),
        (
            {"interaction_id": 7, "interactionIdentifier": A},
            "has no string in field 'interaction_id'",
        ),
        ({"id": A}, "has no field 'interaction_id' or 'interactionIdentifier'"),
    ],
)
def test_without_a_field_our_name_takes_precedence_over_the_apis(row, found):
    [entry] = items(orjson.dumps(row), None)
    assert str(entry.invalid or entry.id) == found


def test_a_key_may_contain_dots():
    assert [entry.id for entry in items(orjson.dumps({"call.id": A}), "call.id")] == [A]


@pytest.mark.parametrize("key", ["interaction_id", "id"])
def test_a_duplicate_field_does_not_lose_an_id_silently(key):
    line = f'{{"x":{{"{key}":"{B}","{key}":"{A}"}}}}'.encode()
    assert reason(line, f"x.{key}") == f"has a field twice, possibly 'x.{key}'"
    nested = f'{{"{key}":"{A}","x":{{"{key}":"{B}"}}}}'.encode()
    assert [entry.id for entry in items(nested, key)] == [A]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (f'{{"interaction_id":"{A}","interaction\\u005fid":"{B}"}}', None),
        (f'{{"\\u0069nteraction_id":"{A}","interaction_id":"{B}"}}', None),
        (f'{{"interactionIdentifier":"{A}","interaction\\u0049dentifier":"{B}"}}', None),
        (f'{{"interaction_id":"{A}","interaction_id":null,"interactionIdentifier":"{B}"}}', None),
        (f'{{"Gespräch":"{A}","Gespr\\u00e4ch":"{B}"}}', "Gespräch"),
        (f'{{"a\\/b":"{A}","a/b":"{B}"}}', "a/b"),
        (f'{{"call":{{"id":"{A}"}},"c\\u0061ll":{{"\\u0069d":"{B}"}}}}', "call.id"),
        (f'{{"call.id":"{A}","call":{{"id":"{B}"}}}}', "call.id"),
        (f'{{"call":{{"id":"{A}"}},"call.id":"{B}"}}', "call.id"),
    ],
)
def test_a_duplicate_field_is_found_however_it_is_written(line, field):
    [entry] = items(line.encode(), field)
    assert entry.invalid is not None
    assert str(entry.invalid).startswith("has a field twice, ")


def test_another_duplicate_field_is_accepted():
    line = f'{{"note":"a\\nb","note":"c","interaction_id":"{A}"}}'.encode()
    assert [entry.id for entry in items(line, None)] == [A]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_lf_cr_lf_and_cr_each_end_a_row(end):
    data = end.join([row(A).decode().strip(), row(B).decode().strip(), ""]).encode()
    assert [item.id for item in items(data) if item is not IgnoredLine.BLANK] == [A, B]


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1e", "\x85", "\u2028", "\0"])
def test_a_line_break_of_another_system_does_not_hide_a_row(odd):
    assert reason(row(A).strip() + odd.encode() + row(B)).startswith("is not JSON (")


def test_an_overlong_line_is_rejected_once():
    long = json.dumps({"x": "y" * MAX_LINE_BYTES, "interaction_id": A}).encode()
    refused, entry = items(long + b"\n" + row(B))
    assert refused.invalid == Fault("is longer than 4,194,304 bytes")
    assert (entry.id, entry.line) == (B, 2)


def test_a_line_of_exactly_the_limit_is_read():
    line = row(A).strip()
    [entry] = items(line + b" " * (MAX_LINE_BYTES - len(line)) + b"\n")
    assert entry.id == A


PIECES = [row(A), row(B).strip(), b"\n", b'{"interaction_id":', b'"', b"}", b"[", b"\\u0000", b" "]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20)))
def test_any_bytes_yield_one_item_per_line_wherever_the_chunks_end(pieces):
    data = b"".join(pieces)
    found = items(data)
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert len(found) == len(lines) - (lines[-1] == b"")
    for item in found:
        if isinstance(item, Entry) and item.invalid is None:
            assert item.id in (A, B)
    assert items(data, size=1) == found
