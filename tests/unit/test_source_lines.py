import errno
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.entry import IdRule
from cxai.errors import InputBrokenError
from cxai.sources.chunks import without_bom
from cxai.sources.compression import DamagedError
from cxai.sources.lines import Overlong, numbered_lines

LIMIT = 8


def lines_of(chunks):
    """Return all lines; asserts that their numbers are right."""
    found = []
    for first, lines in numbered_lines(iter(chunks), LIMIT, "ids.txt"):
        assert first == len(found) + 1
        assert lines
        found += [lines] if isinstance(lines, Overlong) else lines
    return found


def expected(data):
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [
        line if len(line) <= LIMIT else Overlong(line[:LIMIT], line.count(b'"'), LIMIT)
        for line in lines
    ]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"\n\n", [b"", b""]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\rb\r", [b"a", b"b"]),
        (b"a\r\r\nb\n\rc", [b"a", b"", b"b", b"", b"c"]),
        (b"a\rb\nc\r\nd", [b"a", b"b", b"c", b"d"]),
        (b"12345678\n", [b"12345678"]),
    ],
)
def test_lf_cr_lf_and_cr_end_lines_and_the_last_line_needs_none(data, lines):
    assert lines_of([data] if data else []) == lines


@given(st.lists(st.sampled_from([b"\n", b"a", b'"', b"\r", b"\0", b"12345", b"x" * 20])))
def test_chunk_boundaries_change_nothing(pieces):
    data = b"".join(pieces)
    assert lines_of(pieces) == expected(data)
    assert lines_of([data] if data else []) == expected(data)
    assert lines_of(bytes((byte,)) for byte in data) == expected(data)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8).map(sorted))
def test_any_bytes_split_anywhere_give_the_same_lines(data, cuts):
    edges = [0, *cuts, len(data)]
    chunks = [data[a:b] for a, b in pairwise(edges) if data[a:b]]
    assert lines_of(chunks) == expected(data)


def test_an_overlong_line_is_rejected_with_its_beginning():
    line = b'"' * 3 + b"x" * 2_000_000
    [overlong] = lines_of([line[:5], line[5:]])
    assert overlong == Overlong(line[:LIMIT], 3, LIMIT)
    assert str(overlong.refused(IdRule(), "ids.txt", 9).invalid) == "is longer than 8 bytes"


def test_lines_are_yielded_as_soon_as_they_are_complete():
    asked = []

    def chunks():
        for chunk in (b"one\ntw", b"o\n", b"three"):
            asked.append(chunk)
            yield chunk

    given_lines = numbered_lines(chunks(), LIMIT, "ids.txt")
    assert next(given_lines) == (1, [b"one"])
    assert len(asked) == 1
    assert next(given_lines) == (2, [b"two"])
    assert len(asked) == 2
    assert next(given_lines) == (3, [b"three"])


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (DamagedError("its gzip data ends too early"), "its gzip data ends too early"),
    ],
)
def test_an_input_that_breaks_gives_the_whole_lines_before_and_says_where(error, why):
    def chunks():
        yield b"one\ntwo\nthre"
        raise error

    found = []
    with pytest.raises(InputBrokenError, match=rf"^ids.txt .* after line 2: {why}\. ") as raised:
        found.extend(numbered_lines(chunks(), LIMIT, "ids.txt"))
    assert found == [(1, [b"one", b"two"])]
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("content", [b"", b"\xef", b"\xef\xbb", b"a", b"\xef\xbba", b"\xff\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_a_byte_order_mark_is_dropped_at_the_beginning_only(bom, content, size):
    data = bom + content + b"\xef\xbb\xbf"
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    expected = (content + b"\xef\xbb\xbf").removeprefix(b"" if bom else b"\xef\xbb\xbf")
    assert b"".join(without_bom(chunks)) == expected
