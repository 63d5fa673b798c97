import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.entry import MAX_ID_CHARS, Entry, IdRule, refused
from worker.errors import UsageError

GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
WIDE = IdRule(r"(?s).*")


def test_a_guid_is_one_whatever_its_case_and_stays_as_it_was_written():
    lower = IdRule().read(GUID.encode(), "ids.txt", 7)
    upper = IdRule().read(GUID.upper().encode(), "ids.txt", 8)
    assert lower == Entry(bytes.fromhex(GUID.replace("-", "")), GUID, "ids.txt", 7)
    assert upper.id == GUID.upper()
    assert upper.key == lower.key


@pytest.mark.parametrize("raw", [f" {GUID}", f"{GUID}\t", f" \t{GUID}\t "])
def test_blanks_and_tabs_around_an_id_are_no_part_of_it(raw):
    entry = IdRule().read(raw.encode(), "ids.txt", 1)
    assert (entry.id, entry.invalid) == (GUID, None)


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\0", "\x1c", "\x85"])
@pytest.mark.parametrize("rule", [IdRule(), WIDE], ids=["guid", "any"])
def test_an_id_that_brings_a_line_break_or_control_character_along_is_refused(rule, ending):
    for raw in (GUID + ending, ending + GUID, GUID[:8] + ending + GUID[8:]):
        assert rule.read(raw.encode(), "ids.txt", 1).invalid


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b".",
        b"..",
        b"...",
        b"../" + GUID.encode(),
        b"%2e%2e",
        b"a/b",
        b"a\\b",
        b"a?b",
        b"a#b",
        b"a b",
        b"a%20b",
        b"a:b",
        b"a@b",
        b"a\0b",
        b"a\r\nX",
        b"\xff\xfe",
        "ä".encode(),
        "\N{ARABIC-INDIC DIGIT THREE}".encode() + GUID[1:].encode(),
        "\N{FULLWIDTH DIGIT THREE}".encode() + GUID[1:].encode(),
        b"\xed\xa0\x80",
        b"x" * (MAX_ID_CHARS + 1),
        b"x" * 9_000,
    ],
)
def test_what_would_change_a_url_is_refused_whatever_the_pattern_admits(raw):
    assert WIDE.read(raw, "ids.txt", 1).invalid
    assert IdRule().read(raw, "ids.txt", 1).invalid == "is not a GUID"


def test_a_pattern_narrows_what_is_allowed():
    rule = IdRule("[a-z]+-[0-9]+")
    assert rule.read(b"call-17", "ids.txt", 1) == Entry("call-17", "call-17", "ids.txt", 1)
    assert rule.read(b"call-17x", "ids.txt", 1).invalid == "does not match --id-pattern"
    assert IdRule("..").read(b"..", "ids.txt", 1).invalid


def test_a_pattern_has_to_match_all_of_the_id():
    assert IdRule("^a$|b").read(b"ba", "ids.txt", 1).invalid
    assert IdRule("a$").read(b"a\n", "ids.txt", 1).invalid


def test_a_pattern_that_is_no_regular_expression_is_told_at_once():
    with pytest.raises(UsageError, match=re.escape("--id-pattern '[' is not")):
        IdRule("[")


def test_refused_lines_are_distinct_by_their_bytes_and_never_equal_to_an_id():
    one, same, other = (refused(raw, "a", 1, "why") for raw in (b"x", b"x", b"y"))
    assert one.key == same.key != other.key
    assert len(one.key) == 17


def test_a_refused_line_that_was_not_kept_is_as_distinct_as_one_that_was():
    raw = b"x" * 1000
    cut = refused(raw[:100], "a", 1, "why", digest=hashlib.sha256(raw).digest())
    assert cut.key == refused(raw, "a", 1, "why").key


def test_an_excerpt_shows_what_can_not_be_printed():
    shown = refused(b"a\r\n\0\xff\x1b[31m\xe2\x80\xae", "a", 1, "why").id
    assert shown == r"a\r\n\x00\xff\x1b[31m\u202e"


@pytest.mark.parametrize("raw", ["a" * 81, "ä" * 81, "😀" * 81, "\0" * 81, "😀" * 80 + "a"])
def test_a_long_excerpt_says_that_it_is_cut(raw):
    shown = refused(raw.encode(), "a", 1, "why").id
    assert len(shown) == 80
    assert shown.endswith("…")


@pytest.mark.parametrize("raw", ["a" * 80, "ä" * 80, "😀" * 80])
def test_an_excerpt_that_just_fits_is_whole(raw):
    assert refused(raw.encode(), "a", 1, "why").id == raw


@given(st.binary(max_size=400))
def test_any_bytes_become_an_entry_that_can_be_printed_and_stored(raw):
    for rule in (IdRule(), WIDE):
        entry = rule.read(raw, "ids.txt", 1)
        assert entry.id.isprintable()
        assert len(entry.id) <= MAX_ID_CHARS
        entry.id.encode()
        if entry.invalid is None:
            assert entry.id.encode() == raw.strip(b" \t")
            assert re.fullmatch(r"[\w.~-]+", entry.id, re.ASCII)
