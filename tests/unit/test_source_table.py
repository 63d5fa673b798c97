"""CSV below its header: which rows have an ID, which are rejected, and what breaks the input."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tables import A, B, items, read

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.lines import MAX_LINE_BYTES
from cxai.sources.table import items_of_table


def until_broken(data):
    """Return the items before the input breaks, and the message that it breaks with."""
    blocks = []
    with pytest.raises(InputBrokenError) as raised:
        blocks.extend(items_of_table(iter([data.encode()]), "ids.csv", IdRule(), "id"))
    return [item for block in blocks for item in block], str(raised.value)


def test_the_column_of_each_row_below_the_header_is_an_id():
    assert read(f"n,id,x\n1,{A},foo\n2,{B},bar\n") == [(2, A), (3, B)]


def test_crlf_quotes_and_a_missing_last_newline_are_not_part_of_an_id():
    assert read(f'n,id\r\n1,{A}\r\n2,"{B}"\r\n3, {A} ') == [(2, A), (3, B), (4, A)]


def test_other_cells_may_contain_anything():
    data = f'n,id,x\n"a ""b"", c",{A},"two\nlines, {B}\n"\n5" pipe,{B},\n'
    assert read(data) == [(2, A), (5, B)]


def test_blank_rows_are_distinguished_from_rows_without_an_id():
    data = f'n,id\n\n \r\n,\n"",""\n1,\n1\n{A}\n'
    missing = "has no ID in column 'id'"
    assert read(data) == [*[IgnoredLine.BLANK] * 4, (6, missing), (7, missing), (8, missing)]


def test_a_hash_does_not_start_a_comment():
    assert read(f"id\n#\n{A}\n") == [(2, "is not a GUID"), (3, A)]


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
        f'"{A};"',
        b"\xff\xfe",
        b'"\xff\xfe"',
        "\N{ARABIC-INDIC DIGIT THREE}" + A[1:],
        "x" * 9_000,
        '"' + "x" * 9_000 + '"',
    ],
)
def test_an_invalid_id_is_rejected_without_affecting_other_rows(cell):
    raw = cell.encode() if isinstance(cell, str) else cell
    data = b"n,id,x\n1,%b,\n2,%b,\n3,%b,\n" % (A.encode(), raw, B.encode())
    first, refused, last = items(data)
    assert (first.id, first.line, first.invalid) == (A, 2, None)
    assert (refused.line, refused.invalid.kind) == (3, "is not a GUID")
    assert (last.id, last.line, last.invalid) == (B, 4 + raw.count(b"\n"), None)


def test_a_carriage_return_outside_of_quotes_ends_the_row():
    missing = "has no ID in column 'id'"
    assert read(f'x,id,y\na,{A},b\rb,"","c"\n,{B},\n') == [(2, A), (3, missing), (4, B)]


@pytest.mark.parametrize("cell", ["x" * MAX_LINE_BYTES, '"' + "x" * MAX_LINE_BYTES + '"'])
def test_an_overlong_row_is_rejected_once(cell):
    assert read(f"id,x\n{A},{cell}\n{B},\n") == [(2, "is longer than 4,194,304 bytes"), (3, B)]


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        (f'{B},"x\n', "a quote is never closed"),
        (f'{B},"x\ny\n' * 2, "a closing quote belongs to another cell"),
        (f'{B},"x\n{A},\n{A},y', "line 4, within quotes, looks like a separate row"),
        (f'{B},"x\nz\n{A}, \n{A},y"\n', "line 5, within quotes, looks like a separate row"),
        (
            f'{B},"' + "x" * MAX_LINE_BYTES + f"\n{A},\n",
            "line 4, within quotes, looks like a separate row",
        ),
        (f'{B},"' + "x" * MAX_LINE_BYTES + "\ny\n", "a quote is never closed"),
        (f'{B},"x\ry,"a","z\n{A},"\n', "a closing quote belongs to another cell"),
        (f'"y"z,"{B}\n', "a quote opens after text that follows a closing quote"),
    ],
)
def test_an_unclosed_quote_breaks_the_input_and_loses_nothing_silently(rest, why):
    found, message = until_broken(f"id,x\n{A},\n{rest}")
    assert [item.id for item in found] == [A]
    where = "ids.csv: the quotes of the row that starts in line 3 are unbalanced"
    assert message.startswith(f"{where}: {why}.")


@pytest.mark.promise(
    "A stray quote in a CSV file that would hide rows",
    "the rows before it are processed; then the run stops with the file and the line",
    group="Input",
)
def test_a_stray_quote_that_meets_a_later_one_loses_no_rows():
    found, message = until_broken(f'note,id\nfine,{A}\n"hello,{B}\nfine,{A}\n"bye,{B}\n')
    assert [item.id for item in found] == [A]
    assert "starts in line 3 are unbalanced: line 3, within quotes, looks like" in message


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("note,id", f'"hello,{B}\nx",{A}\n'),  # in the line that opens the quote
        ("id,note", f'{A},"hello\n{B},x"\n'),  # in the line that closes it
        ("id,note", f'{A},"hello\n{B},""x"""\n'),
        ("note,id", f'"hello\nx,{B}\ny",{A}\n'),  # in a line between
        ("id,note,n", f'{A},"hello\n{B},x",1\n'),
        ("n,id,note", f'1,{A},"hello\n2,{B},x"\n'),
        ("n,note,id", f'1,"a,{B}\n2,b",{A}\n'),
    ],
)
def test_a_quote_that_is_closed_too_late_does_not_hide_a_row(header, rows):
    with pytest.raises(
        InputBrokenError, match=r"line \d, within quotes, looks like a separate row"
    ):
        read(f"{header}\n{rows}")


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("note,id", f'"hello, you\nand, me",{A}\n'),
        ("id,note", f'{A},"hello, {B}\nx"\n'),
        ("note,id,n", f'"see {B},\nplease",{A},1\n'),
        ("n,id,note", f'1,{A},"a\nb, c, d\ne"\n'),
        ("id,note,more", f'{A},"a\nb","c\nd"\n'),
        ("id", f'"{A}"\n'),
    ],
)
def test_a_quoted_cell_with_line_breaks_is_not_mistaken_for_a_hidden_row(header, rows):
    assert read(f"{header}\n{rows}") == [(2, A)]


def test_text_after_a_closing_quote_rejects_only_its_row():
    assert read(f'note,id\nx,{A}\n"y"z,{B}\nx,{A}\n') == [
        (2, A),
        (3, "has text after a closing quote"),
        (4, A),
    ]


def test_rows_are_yielded_as_soon_as_they_are_complete():
    asked = []

    def chunks():
        for chunk in (b"id,x\n", A.encode() + b",1\n" + B.encode() + b',"2', b'\n"\n'):
            asked.append(chunk)
            yield chunk

    blocks = items_of_table(chunks(), "ids.csv", IdRule(), "id")
    assert [entry.id for entry in next(blocks)] == [A]
    assert len(asked) == 2
    assert [entry.id for entry in next(blocks)] == [B]


@pytest.mark.promise(
    "A row of a CSV file that does not fit its header: an unquoted comma, another delimiter",
    "`invalid_id` with its line: a shifted row could yield a wrong ID",
    group="Input",
)
@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        ("agent,id", f"Doe, Jane,{A}", "has 3 cells, but the header row has 2"),
        ("agent,other,id,note", f"Doe, Jane,{A},{B},x", "has 5 cells, but the header row has 4"),
        (
            "agent,other,id,note",
            f"Doe, Jane,{A},{B},",
            "has 5 cells, but the header row has 4, and several IDs",
        ),
        ("id", f"{A},{B}", "has 2 cells, but the header row has 1"),
        ("id", f"{A};{B}", "is not a GUID"),
        ("agent;id", f"Doe,{A}", "has no ID in column 'id'"),
        ("agent,id", f"Doe;{A}", "has no ID in column 'id'"),
        ("agent\tid", f"Doe,{A}", "has no ID in column 'id'"),
        ("agent|id", f"Doe;{A}", "has no ID in column 'id'"),
        ("agent,id", '"Doe\nJane",x,' + A, "has 3 cells, but the header row has 2"),
        ("agent,id", "Doe", "has no ID in column 'id'"),
    ],
)
def test_a_row_that_does_not_fit_its_header_is_refused(header, row, why):
    delimiter = next((mark for mark in ";\t|" if mark in header), ",")
    good = f"{delimiter}".join("x" if name != "id" else B for name in header.split(delimiter))
    assert read(f"{header}\n{row}\n{good}\n") == [(2, why), (3 + row.count("\n"), B)]


@pytest.mark.parametrize("end", [",", ",,", ", ,"])
def test_empty_cells_after_the_last_column_are_accepted(end):
    assert read(f"x,id\n1,{A}{end}\n") == [(2, A)]


ENDS = ["\n", "\r\n", "\r", "\r\r\n"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("of_header", ENDS)
def test_lf_cr_lf_and_cr_each_end_a_row_and_the_header(of_header, end):
    found = read(f"n,id{of_header}1,{A}{end}2,{B}{end}")
    assert [item[1] for item in found if item is not IgnoredLine.BLANK] == [A, B]


@pytest.mark.parametrize(
    "odd", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0"]
)
def test_a_line_break_of_another_system_does_not_hide_a_row(odd):
    why = "contains an unusual line break, followed by an ID"
    assert read(f"id,x,y\n{A},1{odd}{B}\n{A},1,2{odd}{B}\n") == [(2, why), (3, why)]
    assert read(f"id,x\n{A},1{odd}{B},2\n") == [(2, "has 3 cells, but the header row has 2")]
    assert read(f"x,id\n1,{A}{odd}\n") in ([(2, "is not a GUID")], [(2, A)])
    assert read(f'x,id\n"a{odd}{B}",{A}\nb{odd}c,{A}\n') == [(2, A), (3, A)]
    with pytest.raises(UsageError, match="it contains an unusual line break"):
        items(f"id,x{odd}{A},1\n")


@pytest.mark.promise(
    "A long cell beside the ID's: a quoted transcript of megabytes with line breaks",
    "its row is read like any other, in memory that does not grow with it",
    group="Input",
)
@pytest.mark.parametrize(
    "cell",
    [
        "x" * 150_000,
        "two words\n" * 15_000,
        'she said ""yes""\r\n' * 9_000,
        ("a, b, c, " * 50 + "\n") * 5_400,
        f"the call {A} of today\n" * 4_000,
        '""\n' * 30_000,
    ],
    ids=["one line", "lines", "quotes", "more than a line may have", "IDs", "quotes alone"],
)
def test_a_long_cell_next_to_the_id_is_accepted(cell):
    found = read(f'note,id,x\n"{cell}",{A},"{cell}"\n,{B},\n')
    assert found == [(2, A), (3 + 2 * cell.count("\n"), B)]


def test_an_overlong_line_within_quotes_rejects_only_its_row():
    long = "x" * (MAX_LINE_BYTES + 1)
    why = "is longer than 4,194,304 bytes"
    for row in (f'"{long}\ny",{B},', f'"y\n{long}",{B},'):
        lines = 1 + row.count("\n")
        assert read(f"x,id,y\n{row}\n,{A},\n") == [(2, why), (2 + lines, A)]
    assert read(f'x,id\n"y\n{long}\nz",{A}\n') == [(2, A)]  # it holds nothing that is needed


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"{A},{B}", "has 2 cells, but the header row has 3, and several IDs"),
        (f'"{A}","{B}"', "has 2 cells, but the header row has 3, and several IDs"),
        (f"agent,{A}", None),
        (f",{A}", None),
    ],
)
def test_a_row_with_too_few_cells_and_several_ids_may_be_shifted(row, why):
    [entry] = items(f"agent,id,parent\n{row}\n")
    assert entry.invalid == (why and Fault(why))


CELLS = st.sampled_from([A, B, "", "x", '5"', '"', ",", ";", "a\nb", "\r\n", "\0", "é", " "])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS)), st.sampled_from([",", ";", "\t"]))
def test_rows_written_by_the_csv_module_are_read_back(rows, delimiter):
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
            assert item is IgnoredLine.BLANK
        else:
            assert item.invalid


PIECES = [A.encode(), b'"', b",", b"\n", b"\r\n", b"\r", b"\xff", b"\0", b" ", b"x"]


@given(st.lists(st.sampled_from(PIECES)))
def test_chunk_boundaries_change_nothing(pieces):
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
    assert len(found) <= data.count(b"\n") + data.count(b"\r") + 1
