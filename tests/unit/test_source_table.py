import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.lines import MAX_LINE_BYTES
from cxai.sources.table import items_of_table

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
        item
        if isinstance(item, IgnoredLine)
        else (item.line, item.invalid.kind if item.invalid else item.id)
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
    rows = [item for item in told(f"{header}\n1,{A}\n", column) if item is not IgnoredLine.BLANK]
    assert rows == [(header.count("\n") + 2, A)]


def test_a_header_may_hold_line_breaks():
    assert told(f'id,"in\nfull"\n{A},x\n') == [(3, A)]


@pytest.mark.parametrize(
    ("data", "listed"),
    [
        ("n,x\n", "no column 'id'; its header row is 'n', 'x'."),
        ("n;x\n", "no column 'id'; its header row is 'n', 'x'."),
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


@pytest.mark.parametrize(
    "data",
    ["x" * (MAX_LINE_BYTES + 1) + "\n", 'a,"b\nc,d\n', '"a\n' * 1_001, "id\x0bx\n", "id\x85x\n"],
)
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
    assert told(data) == [*[IgnoredLine.BLANK] * 4, (6, missing), (7, missing), (8, missing)]


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
    assert (refused.line, refused.invalid.kind) == (3, "is not a GUID")
    assert (last.id, last.line, last.invalid) == (B, 4 + raw.count(b"\n"), None)


def test_a_carriage_return_outside_of_quotes_ends_the_row():
    missing = "has no ID in column 'id'"
    assert told(f'x,id,y\na,{A},b\rb,"","c"\n,{B},\n') == [(2, A), (3, missing), (4, B)]


@pytest.mark.parametrize("cell", ["x" * MAX_LINE_BYTES, '"' + "x" * MAX_LINE_BYTES + '"'])
def test_an_overlong_row_is_one_refused_row(cell):
    assert told(f"id,x\n{A},{cell}\n{B},\n") == [(2, "line is longer than 4,194,304 bytes"), (3, B)]


@pytest.mark.parametrize(
    ("rest", "how"),
    [
        (f'{B},"x\n', "never closed"),
        (f'{B},"x\ny\n' * 2, "closed by one that belongs to another cell"),
        (f'{B},"x\n{A},\n{A},y', "not closed where it should be: line 4 would be a row of its own"),
        (
            f'{B},"x\nz\n{A}, \n{A},y"\n',
            "not closed where it should be: line 5 would be a row of its own",
        ),
        (
            f'{B},"' + "x" * MAX_LINE_BYTES + f"\n{A},\n",
            "not closed where it should be: line 4 would be a row of its own",
        ),
        (f'{B},"' + "x" * MAX_LINE_BYTES + "\ny\n", "never closed"),
        (f'{B},"x\ry,"a","z\n{A},"\n', "closed by one that belongs to another cell"),
        (f'"y"z,"{B}\n', "opened behind text that follows a closing quote"),
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
    assert "begins in line 3 is not closed where it should be: line 3 would be a row" in message


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
def test_a_quote_that_is_closed_in_good_form_hides_no_row(header, rows):
    with pytest.raises(InputBrokenError, match=r"line \d would be a row of its own"):
        told(f"{header}\n{rows}")


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
def test_a_quoted_cell_with_line_breaks_is_no_hidden_row(header, rows):
    assert told(f"{header}\n{rows}") == [(2, A)]


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


@pytest.mark.promise(
    "A row of a CSV file that does not fit its header: an unquoted comma, another delimiter",
    "`invalid_id` with its line: of a shifted row, another ID could be asked for",
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
    assert told(f"{header}\n{row}\n{good}\n") == [(2, why), (3 + row.count("\n"), B)]


@pytest.mark.parametrize("end", [",", ",,", ", ,"])
def test_empty_cells_behind_the_last_column_are_no_fault(end):
    assert told(f"x,id\n1,{A}{end}\n") == [(2, A)]


ENDS = ["\n", "\r\n", "\r", "\r\r\n"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("of_header", ENDS)
def test_every_line_end_that_we_know_ends_a_row_and_the_header(of_header, end):
    found = told(f"n,id{of_header}1,{A}{end}2,{B}{end}")
    assert [item[1] for item in found if item is not IgnoredLine.BLANK] == [A, B]


@pytest.mark.parametrize(
    "odd", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0"]
)
def test_a_line_end_that_only_others_know_hides_no_row(odd):
    why = "has a line end in it that only other systems know, and an ID behind that"
    assert told(f"id,x,y\n{A},1{odd}{B}\n{A},1,2{odd}{B}\n") == [(2, why), (3, why)]
    assert told(f"id,x\n{A},1{odd}{B},2\n") == [(2, "has 3 cells, but the header row has 2")]
    assert told(f"x,id\n1,{A}{odd}\n") in ([(2, "is not a GUID")], [(2, A)])
    assert told(f'x,id\n"a{odd}{B}",{A}\nb{odd}c,{A}\n') == [(2, A), (3, A)]
    with pytest.raises(UsageError, match="a line end of another system"):
        items(f"id,x{odd}{A},1\n")


@pytest.mark.promise(
    "A long cell that is not the ID's: a quoted transcript of megabytes with line breaks",
    "no fault; its row is read like any other, in memory that does not grow with it",
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
def test_a_long_cell_beside_the_id_is_no_fault(cell):
    found = told(f'note,id,x\n"{cell}",{A},"{cell}"\n,{B},\n')
    assert found == [(2, A), (3 + 2 * cell.count("\n"), B)]


def test_a_line_that_is_too_long_within_quotes_refuses_its_row_alone():
    long = "x" * (MAX_LINE_BYTES + 1)
    why = "line is longer than 4,194,304 bytes"
    for row in (f'"{long}\ny",{B},', f'"y\n{long}",{B},'):
        lines = 1 + row.count("\n")
        assert told(f"x,id,y\n{row}\n,{A},\n") == [(2, why), (2 + lines, A)]
    assert told(f'x,id\n"y\n{long}\nz",{A}\n') == [(2, A)]  # it holds nothing that is needed


@pytest.mark.parametrize(
    "first",
    ["sep=;", "SEP=;", '"sep=;"', "sep=;;", "\ufeffsep=;", "sep=|", "sep=\t", "sep=,", "sep=:"],
)
def test_the_line_with_which_excel_names_its_delimiter_is_no_header(first):
    mark = first.strip('";')[-1] if "sep=;" not in first.lower() else ";"
    data = f"{first}\r\nn;id\r\n1;{A}\r\n".replace(";", mark)
    assert told(data.lstrip("\ufeff").encode().removeprefix(b"\xef\xbb\xbf")) == [(3, A)]


@pytest.mark.parametrize("name", ["\u00a0id\u00a0", "\ufeffid", '\ufeff"id"', "id\u200b", ' "id"'])
def test_a_name_in_the_header_may_have_what_can_not_be_seen_around_it(name):
    assert told(f"n,{name}\n1,{A}\n") == [(2, A)]


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("n,ID", "Is it 'ID'? Then give --column ID."),
        ("n,I D", "Is it 'I D'? Then give --column 'I D'."),
        ("n,_Id", "Is it '_Id'? Then give --column _Id."),
        (
            "id,n,id",
            (
                "has several columns 'id': number 1 and 3; its header row is 'id', 'n', 'id'."
                " Give the number of the column that holds the IDs, as in --column 1."
            ),
        ),
        (A, "That is no header row: there is an ID in it."),
    ],
)
def test_a_header_with_another_name_gives_advice_that_can_be_followed(header, advice):
    with pytest.raises(UsageError) as raised:
        items(header + "\n")
    assert str(raised.value).endswith(advice) or advice in str(raised.value)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"{A},x", "there is an ID in its column 1"),
        (f"N/A,{A}", "there is an ID in its column 2"),
        (f'"{{{A}}}",x', "there is an ID in its column 1"),
        (f"{A[:-1]},x", "what is in its column 1 is almost an ID"),
        (f"{A[:-1]}O,x", "what is in its column 1 is almost an ID"),
        (f"{A}0,x", "what is in its column 1 is almost an ID"),
        (f'"{A}\\",x', "what is in its column 1 is almost an ID"),
        (A.replace("-", "\N{EN DASH}") + ",x", "what is in its column 1 is almost an ID"),
    ],
)
def test_a_first_row_with_an_id_is_no_header_even_if_the_column_has_a_number(row, why):
    with pytest.raises(UsageError, match=why):
        items(f"{row}\n{B},y\n", "1")


@pytest.mark.parametrize("name", ["id", "", "deadbeef", "ID of the call", "0123456789abcdef", "-"])
def test_what_is_a_name_may_stand_in_the_header_of_a_numbered_column(name):
    assert told(f"{name},x\n{B},y\n", "1") == [(2, B)]


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


def test_a_column_may_be_given_by_its_number():
    assert told(f"id,n,id\n{B},1,{A}\n", "3") == [(2, A)]
    assert told(f'"2",id\n{A},{B}\n', "2") == [(2, A)]  # a name goes first
    with pytest.raises(UsageError, match="no header row: there is an ID in its column 2"):
        items(f"1,{A}\n2,{B}\n", "2")
    for number in ("0", "4", "-1", "99999999999"):
        with pytest.raises(UsageError, match=f"no column '{number}'"):
            items(f"n,id,x\n1,{A},\n", number)


@pytest.mark.promise(
    "No `--column` or `--field` is given",
    "`interaction_id` holds the ID, or else `interactionIdentifier`",
    group="Input",
)
@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("interaction_id,n", f"{A},1"),
        ("n,interactionIdentifier", f"1,{A}"),
        ("interactionIdentifier,interaction_id", f"{B},{A}"),
    ],
)
def test_without_a_column_ours_goes_before_the_one_of_the_api(header, row):
    assert told(f"{header}\n{row}\n", None) == [(2, A)]


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
            assert item is IgnoredLine.BLANK
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
    assert len(found) <= data.count(b"\n") + data.count(b"\r") + 1
