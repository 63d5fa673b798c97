import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.entry import Entry, IdRule, Skip
from worker.errors import InputBrokenError, UsageError
from worker.sources.table import MAX_ROW_BYTES, items_of_table

A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"


def items(data, column="id", size=65_536):
    if isinstance(data, str):
        data = data.encode()
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    return [i for block in items_of_table(chunks, "ids.csv", IdRule(), column) for i in block]


def told(data, column="id"):
    """Return the items as what a test can be read by: (line, ID or reason)."""
    return [
        item if isinstance(item, Skip) else (item.line, item.invalid or item.id)
        for item in items(data, column)
    ]


def until_broken(data):
    """Return the items before the input breaks, and the message that it breaks with."""
    blocks = []
    with pytest.raises(InputBrokenError) as raised:
        blocks.extend(items_of_table(iter([data.encode()]), "ids.csv", IdRule(), "id"))
    return [item for block in blocks for item in block], str(raised.value)


def test_the_column_of_each_row_below_the_header_is_an_id():
    assert told(f"n,id,x\n1,{A},foo\n2,{B},bar\n") == [(2, A), (3, B)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_comma_semicolon_and_tab_are_told_by_the_header(delimiter):
    assert told(f"n,id\n1,{A}\n".replace(",", delimiter)) == [(2, A)]


def test_a_comma_in_a_name_does_not_hide_that_the_delimiter_is_another():
    assert told(f"name, first;id\nx;{A}\n") == [(2, A)]


def test_a_header_alone_holds_no_ids():
    assert told("n,id\n") == told("id") == []


@pytest.mark.parametrize(
    "header", ["n,id", '"n","id"', "n, id ", "n,id\r", "\n\r\nn,id", 'n,"i""d"']
)
def test_a_header_may_be_quoted_spaced_or_preceded_by_blank_lines(header):
    column = 'i"d' if '""' in header else "id"
    rows = [item for item in told(f"{header}\n1,{A}\n", column) if item is not Skip.BLANK]
    assert rows == [(header.count("\n") + 2, A)]


def test_a_header_may_hold_line_breaks():
    assert told(f'id,"in\nfull"\n{A},x\n') == [(3, A)]


@pytest.mark.parametrize(
    ("data", "listed"),
    [
        ("n,ID\n", "no column 'id'; its header row is 'n', 'ID'."),
        ("n;x\n", "no column 'id'; its header row is 'n', 'x'."),
        ("id,id\n", "several columns 'id'; its header row is 'id', 'id'."),
        (f"{A}\n{B}\n", f"no column 'id'; its header row is '{A}'."),
        (",".join("abcdefghijklmnopqrstuvwxyz"), "'s', 't', …."),
        ("x" * 100, f"'{'x' * 40}'."),
    ],
)
def test_a_header_without_the_column_is_told_with_the_columns_found(data, listed):
    with pytest.raises(UsageError, match=r"^ids.csv has .*--column\.$") as raised:
        items(data)
    assert listed in str(raised.value)


def test_columns_that_can_not_be_printed_are_told_all_the_same():
    with pytest.raises(UsageError, match=re.escape(r"'\\xff', '\x1b[31m'")) as raised:
        items(b"\xff,\x1b[31m\n")
    str(raised.value).encode()


@pytest.mark.parametrize("data", ["", "\n\n", "x" * (MAX_ROW_BYTES + 1), 'a\rb,"c"\n'])
def test_what_has_no_header_row_is_told(data):
    with pytest.raises(UsageError, match=r"^ids.csv.* header row"):
        items(data)


def test_crlf_a_missing_last_newline_and_quotes_are_no_part_of_an_id():
    assert told(f'n,id\r\n1,{A}\r\n2,"{B}"\r\n3, {A} ') == [(2, A), (3, B), (4, A)]


def test_other_cells_may_hold_anything():
    data = f'n,id,x\n"a ""b"", c",{A},"two\nlines, {B}\n"\n5" pipe,{B},\n'
    assert told(data) == [(2, A), (5, B)]


def test_blank_rows_are_told_apart_from_rows_without_an_id():
    data = f'n,id\n\n \r\n,\n"",""\n1,\n1\n{A}\n'
    missing = "has no ID in column 'id'"
    assert told(data) == [*[Skip.BLANK] * 4, (6, missing), (7, missing), (8, missing)]


def test_a_hash_begins_no_comment():
    assert told(f"id\n#\n{A}\n") == [(2, "is not a GUID"), (3, A)]


@pytest.mark.parametrize(
    "cell",
    [
        "..",
        "%2e%2e",
        "a/b",
        "?",
        "#",
        "a\0b",
        f'"{A}\n"',
        f'"{A}\r\n"',
        f'"\n{A}"',
        f'"{A[:8]}\r\n{A[8:]}"',
        f"{A}\r",
        f'"{A};"',
        b"\xff\xfe",
        b'"\xff\xfe"',
        "\N{ARABIC-INDIC DIGIT THREE}" + A[1:],
        "x" * 9_000,
        '"' + "x" * 9_000 + '"',
    ],
)
def test_a_cell_that_is_no_id_is_refused_and_the_rows_around_it_are_not(cell):
    raw = cell.encode() if isinstance(cell, str) else cell
    data = b"n,id,x\n1,%b,\n2,%b,\n3,%b,\n" % (A.encode(), raw, B.encode())
    first, refused, last = items(data)
    assert (first.id, first.line, first.invalid) == (A, 2, None)
    assert (refused.line, refused.invalid) == (3, "is not a GUID")
    assert (last.id, last.line, last.invalid) == (B, 4 + raw.count(b"\n"), None)


def test_a_carriage_return_amid_a_row_with_quotes_refuses_that_row():
    assert told(f'id,x,y\n{A},a\rb,"c"\n{B},,\n') == [
        (2, "has a carriage return outside of quotes"),
        (3, B),
    ]


@pytest.mark.parametrize("cell", ["x" * MAX_ROW_BYTES, '"' + "x" * MAX_ROW_BYTES + '"'])
def test_an_overlong_row_is_one_refused_row(cell):
    assert told(f"id,x\n{A},{cell}\n{B},\n") == [(2, "line is longer than 65,536 bytes"), (3, B)]


@pytest.mark.parametrize(
    ("rest", "how"),
    [
        (f'{B},"x\n', "never closed"),
        (f'{B},"x\n{A},\n{A},y', "never closed"),
        (f'{B},"x\n' + f"{A},\n" * 5_000, "not closed within 65,536 bytes"),
        (f'{B},"' + "x" * MAX_ROW_BYTES + f"\n{A},\n", "not closed within 65,536 bytes"),
        (f'{B},"x\n' + "x" * 100_000 + f'"\n{A},\n', "not closed within 65,536 bytes"),
        (f'{B},x\ry,"a","z\n{A},"\n', "not closed before a carriage return"),
    ],
)
def test_a_quote_that_is_left_open_breaks_the_input_and_loses_nothing_without_a_word(rest, how):
    found, message = until_broken(f"id,x\n{A},\n{rest}")
    assert [item.id for item in found] == [A]
    assert message.startswith(f"ids.csv: a quote in the row that begins in line 3 is {how}.")


@pytest.mark.promise(
    "A stray quote in a CSV file that would swallow rows",
    "what stood before is processed; then the file and the line are told",
    group="Input",
)
def test_a_stray_quote_that_meets_a_later_one_swallows_no_rows():
    found, message = until_broken(f'note,id\nfine,{A}\n"hello,{B}\nfine,{A}\n"bye,{B}\n')
    assert [item.id for item in found] == [A]
    assert "begins in line 3 is closed by one that belongs to another cell" in message


def test_text_behind_a_closing_quote_refuses_its_row_and_no_other():
    assert told(f'note,id\nx,{A}\n"y"z,{B}\nx,{A}\n') == [
        (2, A),
        (3, "has text behind a closing quote"),
        (4, A),
    ]


def test_rows_are_given_as_soon_as_their_end_is_there():
    asked = []

    def chunks():
        for chunk in (b"id,x\n", A.encode() + b",1\n" + B.encode() + b',"2', b'\n"\n'):
            asked.append(chunk)
            yield chunk

    blocks = items_of_table(chunks(), "ids.csv", IdRule(), "id")
    assert [entry.id for entry in next(blocks)] == [A]
    assert len(asked) == 2
    assert [entry.id for entry in next(blocks)] == [B]


CELLS = st.sampled_from([A, B, "", "x", '5"', '"', ",", ";", "a\nb", "\r\n", "\0", "é", " "])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS)), st.sampled_from([",", ";", "\t"]))
def test_whatever_the_csv_module_writes_is_read_as_it_was_meant(rows, delimiter):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["n", "id", "x"])
    writer.writerows(rows)
    found = items(text.getvalue())
    assert len(found) == len(rows)
    for (n, cell, x), item in zip(rows, found, strict=True):
        if cell in (A, B):
            assert (item.id, item.invalid) == (cell, None)
        elif not (n + cell + x).strip():
            assert item is Skip.BLANK
        else:
            assert item.invalid


PIECES = [A.encode(), b'"', b",", b"\n", b"\r\n", b"\r", b"\xff", b"\0", b" ", b"x"]


@given(st.lists(st.sampled_from(PIECES)))
def test_any_bytes_give_the_same_wherever_the_reads_end(pieces):
    def outcome(size):
        found = []
        chunks = (data[start : start + size] for start in range(0, len(data), size))
        try:
            for block in items_of_table(chunks, "ids.csv", IdRule(), "id"):
                found += block
        except InputBrokenError as error:
            return found, str(error)
        return found, None

    data = b"id,x\n" + b"".join(pieces)
    found, broken = outcome(65_536)
    assert outcome(1) == outcome(7) == (found, broken)
    assert all(item.id == A for item in found if isinstance(item, Entry) and not item.invalid)
    # A row may take several lines, but no line gets lost: each belongs to one row.
    assert len(found) <= data.count(b"\n") + 1
