import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe: 3 €", "Größe: 3 €"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("left \u202eto right", r"left \u202eto right"),
        ("two\r\nlines", r"two\r\nlines"),
        ("a lone surrogate: \ud800", r"a lone surrogate: \ud800"),
        (b"caf\xe9", r"caf\xe9"),
        ("caf\u00e9".encode(), "caf\u00e9"),
        (Path(os.fsdecode(b"caf\xe9/\x07")), r"caf\xe9/\x07"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("four", "four"),
        ("fours", "fou…"),
        ("😀" * 4, "😀" * 4),
        (("😀" * 4).encode(), "😀" * 4),
        (("😀" * 4 + "a").encode(), "😀" * 3 + "…"),
        ("\x07", r"\x07"),
        ("\x07a", r"\x0…"),
        (b"", ""),
    ],
)
def test_what_is_longer_than_allowed_is_cut_and_says_so(text, shown):
    assert printable(text, 4) == shown


@given(st.text() | st.binary(), st.integers(1, 12))
def test_any_text_becomes_printable_and_no_longer_than_allowed(text, most_chars):
    whole = printable(text)
    cut = printable(text, most_chars)
    assert whole.isprintable()
    assert whole.isascii() or whole.encode()
    assert cut == (whole if len(whole) <= most_chars else whole[: most_chars - 1] + "…")
