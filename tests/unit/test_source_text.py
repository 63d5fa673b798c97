import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine
from cxai.sources.chunks import without_bom
from cxai.sources.text import MAX_LINE_BYTES, items_of_text

A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"


def items(*chunks, rule=None):
    blocks = items_of_text(iter(chunks), "ids.txt", rule or IdRule())
    return [item for block in blocks for item in block]


def read(*chunks):
    """Return (line, ID or reason) for each entry, and ignored lines as they are."""
    return [
        item
        if isinstance(item, IgnoredLine)
        else (item.line, item.invalid.kind if item.invalid else item.id)
        for item in items(*chunks)
    ]


def test_every_line_is_an_id_with_its_line_number():
    assert read(f"{A}\n{B}\n".encode()) == [(1, A), (2, B)]


def test_the_last_line_needs_no_newline():
    assert read(f"{A}\n{B}".encode()) == [(1, A), (2, B)]


def test_crlf_and_white_space_around_an_id_are_ignored():
    assert read(f"{A}\r\n \t{B}\t \r\n".encode()) == [(1, A), (2, B)]


def test_blank_lines_and_comments_are_items_and_count_as_lines():
    data = f"# export\n\n  \t\r\n  # indented\r\n{A}\n".encode()
    assert read(data) == [
        IgnoredLine.COMMENT,
        IgnoredLine.BLANK,
        IgnoredLine.BLANK,
        IgnoredLine.COMMENT,
        (5, A),
    ]


def test_a_hash_within_a_line_does_not_start_a_comment():
    assert read(f"{A} # the first\n".encode()) == [(1, "is not a GUID")]


def test_duplicates_pass_each_with_its_line():
    first, second = items(f"{A}\n{A.upper()}\n".encode())
    assert first.key == second.key
    assert (first.line, second.line) == (1, 2)


@pytest.mark.parametrize(
    "line",
    [
        b"..",
        b"%2e%2e",
        b"a/b",
        b"?",
        b"a#b",
        b"\0",
        f"{A}\0".encode(),
        f"{A},{B}".encode(),
        b"\xff\xfe\xfa",
        b"\xed\xa0\x80",
        "\N{ARABIC-INDIC DIGIT THREE}".encode() + A[1:].encode(),
        f"{A}\N{LINE SEPARATOR}".encode(),
        b"x" * 9_000,
    ],
)
def test_an_invalid_id_is_rejected_without_affecting_other_lines(line):
    data = f"{A}\n".encode() + line + f"\n{B}\n".encode()
    first, refused, last = items(data)
    assert (first.id, first.invalid, last.id, last.invalid) == (A, None, B, None)
    assert (refused.line, refused.invalid.kind) == (2, "is not a GUID")
    assert refused.id.isprintable()


ENDS = ["\n", "\r\n", "\r", "\r\r\n"]


@pytest.mark.promise(
    "Lines that end with CR, with CR LF, or with either in turn; a CR in a comment or header",
    "each ends its line, in text, CSV and JSON Lines; no ID is lost",
    group="Input",
)
@pytest.mark.parametrize("one", ENDS)
@pytest.mark.parametrize("other", ENDS)
@pytest.mark.parametrize("size", [1, 37, 65_536])
def test_lf_cr_lf_and_cr_each_end_a_line_and_a_comment(one, other, size):
    data = f"# comment{one}{A}{other}{B}{one}".encode()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    comment, *found = [item for item in read(*chunks) if item is not IgnoredLine.BLANK]
    assert comment is IgnoredLine.COMMENT
    assert [text for _, text in found] == [A, B]


@pytest.mark.promise(
    "NEL, VT, FF, NUL, U+2028 and other line breaks of some systems",
    "not a line break: a line (or comment) in which one could hide an ID is rejected and counted",
    group="Input",
)
@pytest.mark.parametrize(
    "odd", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0"]
)
def test_a_line_break_of_another_system_does_not_hide_an_id(odd):
    assert read(f"{A}{odd}{B}\n".encode()) == [(1, "is not a GUID")]
    why = "is a comment that contains an unusual line break, followed by text"
    assert read(f"# x{odd}{A}{odd}{B}\n".encode()) == [(1, why)]
    assert read(f"# x{odd}# y{odd} \n".encode()) == [IgnoredLine.COMMENT]


@pytest.mark.parametrize(
    "odd",
    [b"\x01", b"\x04", b"\x15", b"\x1a", b"\x1b", b"\x1f", b"\x7f", b"\x85", b"\\n", b"\\r\\n"],
)
def test_a_rare_line_break_in_a_comment_does_not_hide_an_id(odd):
    why = "is a comment that contains an unusual line break, followed by text"
    assert read(odd.join([b"# x", A.encode(), b""])) == [(1, why)]
    assert read(odd.join([b"# x", b"#" + A.encode()])) == [IgnoredLine.COMMENT]
    assert read(odd.join([b"# und so", b" weiter", b"C:\\new"])) == [IgnoredLine.COMMENT]


def test_a_line_of_invisible_characters_is_blank():
    assert read("\u00a0\n\ufeff\r\u200b \n".encode()) == [IgnoredLine.BLANK] * 3


def test_an_overlong_line_is_rejected_once():
    long = b"x" * (MAX_LINE_BYTES + 1)
    longer = b"x" * 1_000_000
    data = long + b"\n" + longer + b"\n" + A.encode() + b"\n" + longer
    entries = items(data)
    assert [entry.line for entry in entries] == [1, 2, 3, 4]
    reason = Fault("is longer than 65,536 bytes")
    assert [entry.invalid for entry in entries] == [reason, reason, None, reason]
    assert len({entry.key for entry in entries}) == 4


def test_a_line_of_exactly_the_limit_is_read():
    assert read(b" " * (MAX_LINE_BYTES - 36) + A.encode() + b"\n") == [(1, A)]


def test_ids_of_another_form_are_read_by_their_rule():
    [entry] = items(b"call-17\r\n", rule=IdRule("call-[0-9]+"))
    assert entry == Entry("call-17", "call-17", "ids.txt", 1)


PIECES = [
    A.encode(),
    B.encode(),
    b"\n",
    b"\r\n",
    b"#",
    b" ",
    b"\0",
    b"\xff",
    b"..",
    b"\xef\xbb\xbf",
]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=40)))
def test_any_bytes_yield_one_item_per_line_and_no_invented_id(pieces):
    data = b"".join(pieces)
    found = items(*without_bom(iter([data] if data else [])))
    text = data.removeprefix(b"\xef\xbb\xbf")
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert len(found) == len(lines) - (lines[-1] == b"")
    for number, item in enumerate(found, 1):
        if isinstance(item, Entry):
            assert item.line == number
            assert item.invalid or item.id.encode() in lines[number - 1]
    assert items(*without_bom(bytes((byte,)) for byte in data)) == found
