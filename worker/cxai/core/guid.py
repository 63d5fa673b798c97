"""Spellings of a GUID, and what is wrong with other text."""

import re

GUID_PATTERN = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
"""The form of every public sample of an interaction identifier."""

_HYPHENATED = re.compile(GUID_PATTERN)
_COMPACT = re.compile("[0-9a-fA-F]{32}")
_DIGIT = re.compile("[0-9a-fA-F]")
_NO_DIGIT = re.compile("[^0-9a-fA-F-]")

_FORM = "expected 8-4-4-4-12 hex digits"
_URN = "urn:uuid:"
_PAIRS = {
    "{": "}", "(": ")", "<": ">", '"': '"', "'": "'", "`": "`",
    "“": "”", "„": "“", "‘": "’", "«": "»",  # noqa: RUF001 - typographic quotes
}  # fmt: skip

# Text with so many hex digits, and such a share of them, was meant to be a GUID.
_DIGITS_OF_ALMOST, _SHARE_OF_ALMOST = 24, 0.8

_MOST_CHARS = 128  # longer text is not a GUID, whatever pairs of quotes surround it

INVISIBLE = "\t \xa0\xad\u1680\u180e\u205f\u2060\u3000\ufeff" + "".join(
    # Spaces of all widths, zero width, marks of direction; embedded and isolated directions.
    map(chr, (*range(0x2000, 0x2010), *range(0x202A, 0x2030), *range(0x2066, 0x206A)))
)
"""Spaces and zero-width characters, which are invisible around an ID, but no line ends."""


def guid_in(text: str) -> str | None:
    """Return the GUID that `text` spells, in the form 8-4-4-4-12, or None.

    It may lack its hyphens, begin with `urn:uuid:`, and have pairs of braces, parentheses or quotes
    and spaces or zero-width characters around it. Upper and lower case are kept.
    """
    if len(text) > _MOST_CHARS:
        return None
    core = _unwrapped(text)
    if _HYPHENATED.fullmatch(core):
        return core
    if _COMPACT.fullmatch(core):
        return f"{core[:8]}-{core[8:12]}-{core[12:16]}-{core[16:20]}-{core[20:]}"
    return None


def is_almost_guid(text: str) -> bool:
    """Whether a text has more hex digits than any word or name would."""
    core = _unwrapped(text[:_MOST_CHARS])
    letters = sum(map(str.isalnum, core))
    digits = len(_DIGIT.findall(core))
    return digits >= _DIGITS_OF_ALMOST and digits >= _SHARE_OF_ALMOST * letters


def why_no_guid(text: str) -> str:
    """Return what is wrong with a text that spells no GUID, to follow a colon; positions from 1."""
    core = _unwrapped(text[:_MOST_CHARS])
    if wrong := _NO_DIGIT.search(core):
        position = text.find(core) + wrong.start() + 1
        return f"{_shown(wrong[0])} at position {position}; {_FORM}"
    digits = len(core) - core.count("-")
    if digits != 32:  # noqa: PLR2004 - the digits of a GUID
        more = f" in {len(core)} characters" if digits != len(core) else ""
        return f"{digits} hex digits{more}, a GUID has 32; {_FORM}"
    return f"its hyphens are in the wrong places; {_FORM}"


def _unwrapped(text: str) -> str:
    while True:
        text = text.strip(INVISIBLE)
        if text[: len(_URN)].lower() == _URN:
            text = text[len(_URN) :]
        elif len(text) > 1 and _PAIRS.get(text[0]) == text[-1]:
            text = text[1:-1]
        else:
            return text


def _shown(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - "surrogateescape"
        return f"byte 0x{code - 0xDC00:02x}, which is not UTF-8,"
    return f"{char!r} (U+{code:04X})" if char.isprintable() else f"U+{code:04X}"
