import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxai.core.entry import (
    IS_SECRET,
    MAX_ID_CHARS,
    NO_MATCH,
    NOT_A_GUID,
    Entry,
    Fault,
    IdRule,
)
from cxai.core.guid import guid_in
from cxai.core.secret import Secrets
from cxai.errors import UsageError

GUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
WIDE = IdRule(r"(?s).*")
WHY = Fault("is odd")

refused = IdRule().refused


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
    assert IdRule().read(raw, "ids.txt", 1).invalid.kind == NOT_A_GUID


SPELLINGS = [
    "{%s}",
    "(%s)",
    '"%s"',
    "'%s'",
    "`%s`",
    "<%s>",
    "\u201c%s\u201d",
    "urn:uuid:%s",
    "URN:UUID:%s",
    '"{%s}"',
    ' "urn:uuid:%s" ',
    *(
        f"{char}%s{char}"
        for char in "\u00a0\u200b\u200c\u200d\u2060\ufeff\u2009\u202f\u3000\u200e\u202a\u00ad"
    ),
    "\ufeff{\u00a0%s\u200b}",
]


@pytest.mark.promise(
    "A GUID in braces, parentheses or quotes, as `urn:uuid:`, without hyphens, or with spaces or"
    " zero-width characters around it",
    "that GUID is retrieved, in the form 8-4-4-4-12; it is the same ID as without all this",
    group="Input",
)
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("guid", [GUID, GUID.upper()], ids=["lower", "upper"])
def test_the_usual_spellings_of_a_guid_are_that_guid(spelling, guid):
    for text in (spelling % guid, spelling % guid.replace("-", "")):
        entry = IdRule().read(text.encode(), "ids.txt", 1)
        assert (entry.id, entry.invalid) == (guid, None)
        assert entry.key == bytes.fromhex(GUID.replace("-", ""))
        assert WIDE.read(f"{{{guid}}}".encode(), "ids.txt", 1).invalid


@pytest.mark.promise(
    "A GUID with an en dash, the letter O for a zero, a full-width digit, or a character too few",
    "`invalid_id`; the reason names the character and its place, and the form that is expected",
    group="Input",
)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GUID.replace("-", "\N{EN DASH}"), "'\N{EN DASH}' (U+2013) at position 9"),
        (GUID.replace("0", "O", 1), "'O' (U+004F) at position 5"),
        (
            "\N{FULLWIDTH DIGIT THREE}" + GUID[1:],
            "'\N{FULLWIDTH DIGIT THREE}' (U+FF13) at position 1",
        ),
        (GUID[:4] + "\u200b" + GUID[4:], "U+200B at position 5"),
        ("{" + GUID, "'{' (U+007B) at position 1"),
        (GUID + "}", "'}' (U+007D) at position 37"),
        (f"{GUID}\u2028{GUID}", "U+2028 at position 37"),
        (f"{GUID}\x85", "U+0085 at position 37"),
        (f"{GUID},agent", "',' (U+002C) at position 37"),
        (f"{{{GUID[:-1]}g}}", "'g' (U+0067) at position 37"),
        (GUID[:-1], "31 hex digits in 35 characters, a GUID has 32"),
        (GUID + "0", "33 hex digits in 37 characters, a GUID has 32"),
        (GUID.replace("-", "")[1:], "31 hex digits, a GUID has 32"),
        (GUID.replace("-", "", 1) + "-", "its hyphens are in the wrong places"),
        ("{}", "0 hex digits, a GUID has 32"),
    ],
)
def test_what_is_wrong_with_a_guid_is_said(text, why):
    entry = IdRule().read(text.encode(), "ids.txt", 1)
    assert str(entry.invalid) == f"is not a GUID: {why}; expected 8-4-4-4-12 hex digits"
    assert entry.invalid.kind == NOT_A_GUID


def test_a_byte_that_is_no_utf8_is_named_as_a_byte():
    entry = IdRule().read(GUID[:8].encode() + b"\x96" + GUID[9:].encode(), "ids.txt", 1)
    assert "byte 0x96, which is not UTF-8, at position 9; expected" in str(entry.invalid)


@pytest.mark.parametrize("pattern", [None, "(?s).*"], ids=["GUIDs", "any"])
@pytest.mark.parametrize(
    "line",
    [
        GUID,
        GUID.upper(),
        f"{{{GUID}}}",
        GUID.replace("-", ""),
        GUID.replace("-", "_"),
        f"urn:uuid:{GUID}",
        f"{GUID},agent",
        f"X-API-Token: {GUID}",
        f"https://api/{GUID}/ai",
        f"x{GUID}x",
        "\N{FULLWIDTH DIGIT THREE}" + GUID[1:],
        GUID.replace("-", "%2D"),
        GUID.replace("-", "%252d"),
        GUID.replace("-", r"\u002d"),
        '{"x":"' + GUID.replace("-", r"\\u002D") + '"}',
        GUID.replace("-", r"\x2d"),
        GUID.replace("-", r"\u{2d}"),
        GUID.replace("-", "&#45;"),
        GUID.replace("-", "&#x2d;"),
        GUID.replace("-", "&hyphen;"),
        "".join(f"%{ord(char):02x}" for char in GUID),
        "".join(f"&#{ord(char)};" for char in GUID),
    ],
)
def test_a_line_with_the_token_is_refused_and_shows_nothing_of_it(line, pattern):
    rule = IdRule(secrets=Secrets(GUID)) if pattern is None else IdRule(pattern, Secrets(GUID))
    entry = rule.read(line.encode(), "ids.txt", 7)
    assert entry == Entry(entry.key, "[token]", "ids.txt", 7, IS_SECRET)
    assert entry.key != rule.read(line.encode(), "ids.txt", 8).key
    assert rule.read(GUID.replace("3", "4").encode(), "ids.txt", 1).invalid is None


@pytest.mark.parametrize("token", ["canary-7f3a9c51e0", GUID.upper(), GUID.replace("-", "")])
def test_a_token_is_recognized_in_any_case_wherever_it_stands(token):
    secrets = Secrets()
    assert not secrets.are_in(token)
    secrets.add(token)
    assert secrets.are_in(f"see {token.swapcase()}!")
    assert token not in repr(secrets)


def test_a_short_token_is_looked_for_as_a_whole():
    rule = IdRule("[a-z0-9-]+", Secrets("call"))
    assert rule.read(b"call-17", "ids.txt", 1).invalid is None
    assert rule.read(b"call", "ids.txt", 1).invalid == IS_SECRET


def test_a_pattern_narrows_what_is_allowed():
    rule = IdRule("[a-z]+-[0-9]+")
    assert rule.read(b"call-17", "ids.txt", 1) == Entry("call-17", "call-17", "ids.txt", 1)
    assert rule.read(b"call-17x", "ids.txt", 1).invalid == NO_MATCH
    assert IdRule("..").read(b"..", "ids.txt", 1).invalid


def test_a_pattern_has_to_match_all_of_the_id():
    assert IdRule("^a$|b").read(b"ba", "ids.txt", 1).invalid
    assert IdRule("a$").read(b"a\n", "ids.txt", 1).invalid


def test_a_pattern_that_is_no_regular_expression_is_told_at_once():
    with pytest.raises(UsageError, match=re.escape("--id-pattern '[' is not")):
        IdRule("[")


def test_refused_lines_are_distinct_by_their_place_and_never_equal_to_an_id():
    one = refused(b"x", "a", 1, WHY)
    others = [refused(b"x", "a", 2, WHY), refused(b"x", "b", 1, WHY), refused(b"y", "a", 1, WHY)]
    assert one.key == refused(b"x", "a", 1, Fault("another reason")).key
    assert one.key not in [other.key for other in others]
    assert len(one.key) == 17


def test_an_excerpt_shows_what_can_not_be_printed():
    shown = refused(b"a\r\n\0\xff\x1b[31m\xe2\x80\xae", "a", 1, WHY).id
    assert shown == r"a\r\n\x00\xff\x1b[31m\u202e"


@pytest.mark.parametrize("raw", ["a" * 81, "ä" * 81, "😀" * 81, "\0" * 81, "😀" * 80 + "a"])
def test_a_long_excerpt_says_that_it_is_cut(raw):
    shown = refused(raw.encode(), "a", 1, WHY).id
    assert len(shown) == 80
    assert shown.endswith("…")


@pytest.mark.parametrize("raw", ["a" * 80, "ä" * 80, "😀" * 80])
def test_an_excerpt_that_just_fits_is_whole(raw):
    assert refused(raw.encode(), "a", 1, WHY).id == raw


@given(st.binary(max_size=400))
def test_any_bytes_become_an_entry_that_can_be_printed_and_stored(raw):
    for rule in (IdRule(), WIDE):
        entry = rule.read(raw, "ids.txt", 1)
        assert entry.id.isprintable()
        assert len(entry.id) <= MAX_ID_CHARS
        entry.id.encode()
        if entry.invalid is None:
            assert entry.id in (raw.strip(b" \t").decode(), guid_in(raw.decode()))
            assert re.fullmatch(r"[\w.~-]+", entry.id, re.ASCII)
