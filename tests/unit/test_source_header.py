"""The header row of CSV: its delimiter, and the column of the IDs."""

import re

import pytest
from support.tables import A, B, items, read

from cxai.core.entry import IgnoredLine
from cxai.errors import UsageError
from cxai.sources.lines import MAX_LINE_BYTES


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_header_decides_between_comma_semicolon_and_tab(delimiter):
    assert read(f"n,id\n1,{A}\n".replace(",", delimiter)) == [(2, A)]


def test_a_comma_in_a_column_name_does_not_make_it_the_delimiter():
    assert read(f"name, first;id\nx;{A}\n") == [(2, A)]


def test_a_header_alone_contains_no_ids():
    assert read("n,id\n") == read("id") == []


@pytest.mark.parametrize(
    "header", ["n,id", '"n","id"', "n, id ", "n,id\r", "\n\r\nn,id", 'n,"i""d"']
)
def test_a_header_may_be_quoted_spaced_or_preceded_by_blank_lines(header):
    column = 'i"d' if '""' in header else "id"
    rows = [item for item in read(f"{header}\n1,{A}\n", column) if item is not IgnoredLine.BLANK]
    assert rows == [(header.count("\n") + 2, A)]


def test_a_header_may_contain_line_breaks():
    assert read(f'id,"in\nfull"\n{A},x\n') == [(3, A)]


@pytest.mark.parametrize(
    ("data", "listed"),
    [
        ("n,x\n", "no column 'id'. Its header row is 'n', 'x'."),
        ("n;x\n", "no column 'id'. Its header row is 'n', 'x'."),
        (",".join("abcdefghijklmnopqrstuvwxyz"), "'s', 't', …."),
        ("x" * 100, f"'{'x' * 40}'."),
    ],
)
def test_a_header_without_the_column_is_shown_in_the_error(data, listed):
    with pytest.raises(UsageError, match=r"^ids.csv has .*--column\.$") as raised:
        items(data)
    assert listed in str(raised.value)


def test_unprintable_column_names_are_escaped_in_the_error():
    with pytest.raises(UsageError, match=re.escape(r"'\\xff', '\x1b[31m'")) as raised:
        items(b"\xff,\x1b[31m\n")
    str(raised.value).encode()


@pytest.mark.parametrize(
    "data",
    ["x" * (MAX_LINE_BYTES + 1) + "\n", 'a,"b\nc,d\n', '"a\n' * 1_001, "id\x0bx\n", "id\x85x\n"],
)
def test_a_first_row_that_is_not_a_header_is_refused(data):
    with pytest.raises(UsageError, match=r"^ids.csv.* header row"):
        items(data)


@pytest.mark.parametrize(
    "first",
    ["sep=;", "SEP=;", '"sep=;"', "sep=;;", "\ufeffsep=;", "sep=|", "sep=\t", "sep=,", "sep=:"],
)
def test_the_sep_line_of_excel_is_not_a_header(first):
    mark = first.strip('";')[-1] if "sep=;" not in first.lower() else ";"
    data = f"{first}\r\nn;id\r\n1;{A}\r\n".replace(";", mark)
    assert read(data.lstrip("\ufeff").encode().removeprefix(b"\xef\xbb\xbf")) == [(3, A)]


@pytest.mark.parametrize("name", ["\u00a0id\u00a0", "\ufeffid", '\ufeff"id"', "id\u200b", ' "id"'])
def test_invisible_characters_around_a_column_name_are_ignored(name):
    assert read(f"n,{name}\n1,{A}\n") == [(2, A)]


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("n,ID", "Did you mean --column ID?"),
        ("n,I D", "Did you mean --column 'I D'?"),
        ("n,_Id", "Did you mean --column _Id?"),
        (
            "id,n,id",
            (
                "has several columns named 'id': 1 and 3. Its header row is 'id', 'n', 'id'."
                " Choose one by its number: --column 1."
            ),
        ),
        (A, "That row contains an ID, so it is not a header row."),
    ],
)
def test_a_header_without_the_column_gets_a_usable_suggestion(header, advice):
    with pytest.raises(UsageError) as raised:
        items(header + "\n")
    assert str(raised.value).endswith(advice) or advice in str(raised.value)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"{A},x", "column 1 contains an ID"),
        (f"N/A,{A}", "column 2 contains an ID"),
        (f'"{{{A}}}",x', "column 1 contains an ID"),
        (f"{A[:-1]},x", "column 1 contains a mistyped ID"),
        (f"{A[:-1]}O,x", "column 1 contains a mistyped ID"),
        (f"{A}0,x", "column 1 contains a mistyped ID"),
        (f'"{A}\\",x', "column 1 contains a mistyped ID"),
        (A.replace("-", "\N{EN DASH}") + ",x", "column 1 contains a mistyped ID"),
    ],
)
def test_a_first_row_with_an_id_is_not_a_header_even_if_the_column_is_a_number(row, why):
    with pytest.raises(UsageError, match=why):
        items(f"{row}\n{B},y\n", "1")


@pytest.mark.parametrize("name", ["id", "", "deadbeef", "ID of the call", "0123456789abcdef", "-"])
def test_a_numbered_column_may_have_any_name_in_the_header(name):
    assert read(f"{name},x\n{B},y\n", "1") == [(2, B)]


def test_a_column_may_be_given_by_its_number():
    assert read(f"id,n,id\n{B},1,{A}\n", "3") == [(2, A)]
    assert read(f'"2",id\n{A},{B}\n', "2") == [(2, A)]  # a name takes precedence
    with pytest.raises(UsageError, match="not a header row: column 2 contains an ID"):
        items(f"1,{A}\n2,{B}\n", "2")
    for number in ("0", "4", "-1", "99999999999"):
        with pytest.raises(UsageError, match=f"no column '{number}'"):
            items(f"n,id,x\n1,{A},\n", number)


@pytest.mark.promise(
    "No `--column` or `--field` is given",
    "the ID is in `interaction_id`, or else in `interactionIdentifier`",
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
def test_without_a_column_our_name_takes_precedence_over_the_apis(header, row):
    assert read(f"{header}\n{row}\n", None) == [(2, A)]
