"""How a text may spell a secret; no other module decides that.

In either case, with or without hyphens or other signs between its letters, with full-width letters,
and with characters escaped as in URLs, JSON, HTML, programs and `repr`, several times over. Input
is reduced to its letters, which finds the most; output is searched with a `pattern`, so that the
text around the secret is kept.
"""

import re
import unicodedata
from urllib.parse import unquote

# --- input, reduced to its letters ---

# %2D, \x2d, \u002d, \u{2d}, &#x2d; and &#45;. A named one, as &hyphen;, is never a letter.
_IN_HEX = re.compile(
    r"%([0-9a-f]{2})|\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\u\{0*([0-9a-f]{1,4})\}"
    r"|&#x0*([0-9a-f]{1,4});",
    re.IGNORECASE,
)
_IN_DECIMAL = re.compile("&#0*([0-9]{1,4});")
_BY_NAME = re.compile("&[a-z]+;", re.IGNORECASE)
MOST_TIMES_ESCAPED = 3

_NO_LETTER = re.compile("[^0-9a-z]")


def letters(text: str) -> str:
    """Return only the letters and digits of a text, in lower case and normal width."""
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())


def unescaped(text: str) -> str:
    """Undo one level of escaping; return the same text if nothing is escaped."""
    if not any(mark in text for mark in "%\\&"):
        return text
    text = _IN_HEX.sub(lambda found: chr(int(found[found.lastindex or 0], 16)), text)
    text = _IN_DECIMAL.sub(lambda found: chr(int(found[1])), text)
    return _BY_NAME.sub("", text)


def as_id(text: str) -> str:
    """Return the form in which an allowed ID (core/entry.py) and a secret are compared.

    Such an ID has only letters, digits and `-._~`, and a server may read `%` escapes in it.
    """
    plain = unquote(text) if "%" in text else text
    return plain.replace("-", "").lower()


# --- output, searched ---
#
# The pattern matches each character in one way only, so that near misses take linear time: what
# precedes a character consumes all backslashes, and its own escape only looks back at them. Only a
# secret that itself contains something like an escape is ambiguous, such as the 33 of `%33`.

# Secrets with at least this many letters and digits are found by these alone.
_LEAST_LETTERS = 12
_GUID_GROUPS = re.compile(
    "([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})"
)
_LETTERS_AND_DIGITS = re.compile("[a-z0-9]+")
_PIECES = re.compile(r"\\+|[^\\]", re.DOTALL)  # a run of backslashes, or another character

# The codes of letters and digits: everything else may separate two letters.
_LETTER_HEX = "(?:3[0-9]|[46][1-9a-f]|[57][0-9a])"
_LETTER_DECIMAL = "(?:4[89]|5[0-7]|6[5-9]|[78][0-9]|9[0789]|1[01][0-9]|12[0-2])"

# Between two letters: a character that is neither, as it is or as URLs, programs, JSON and HTML
# escape it. Plain characters that structure a log line are excluded.
_NO_GAP = r"""\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"'{}\[\],\n"""
_GAP = (
    rf"%(?:25){{0,4}}(?!{_LETTER_HEX})[0-9a-f]{{2}}"
    rf"|\\{{1,8}}+(?:(?!(?:u00|x){_LETTER_HEX})(?:u[0-9a-f]{{4}}|x[0-9a-f]{{2}}))?"
    rf"|&(?!\#(?:x0{{0,4}}{_LETTER_HEX}|0{{0,4}}{_LETTER_DECIMAL});)"
    rf"(?:\#x?[0-9a-f]{{1,8}}|[a-z]{{2,8}});|[^0-9A-Za-z\\{_NO_GAP}]"
)
_LONGEST_GAP = 8


def anchor(secret: str) -> bytes:
    """Return a piece that every spelling without escapes or full-width letters contains."""
    guid = _GUID_GROUPS.fullmatch(secret)  # with its hyphens or without
    runs = guid.groups() if guid else _LETTERS_AND_DIGITS.findall(secret)
    return max(runs, key=len, default="").encode()


def pattern(secret: str) -> re.Pattern[str]:
    """Return the pattern of a secret in all its spellings."""
    runs = re.split("([0-9A-Za-z])", secret)  # what separates the letters, and each of them
    between, those = runs[0::2], runs[1::2]
    if len(those) < _LEAST_LETTERS:
        return re.compile(_in_full(secret, optional="-" if those else ""), re.IGNORECASE)
    gaps = [_gap(own) for own in between[1:-1]]
    parts = [f"(?:{_in_full(between[0])})?", r"\\{0,8}+"]
    for letter, gap in zip(those, [*gaps, ""], strict=True):
        parts += [_spelled(letter), gap]
    parts.append(f"(?:{_in_full(between[-1])})?")
    return re.compile("".join(parts), re.IGNORECASE)


def _gap(own: str) -> str:
    """Return the pattern of what may separate two letters with `own` between them; lazy."""
    also = "".join(f"|{re.escape(c)}" for c in re.findall(f"[{_NO_GAP}]", own))
    return f"(?:{_GAP}{also}){{0,{_LONGEST_GAP + len(own)}}}?"


def _in_full(text: str, optional: str = "") -> str:
    """Return the pattern of a text with all its characters, but for the optional one."""
    parts = []
    for piece in _PIECES.findall(text):
        if piece[0] == "\\":
            parts.append(_spelled("\\") + f"{{{len(piece)},{16 * len(piece)}}}+")
        else:
            parts.append(r"\\{0,8}+" + _spelled(piece) + ("?" if piece == optional else ""))
    return "".join(parts)


def _spelled(c: str) -> str:
    """Return the pattern of a character, as it is or escaped; its backslash has been matched."""
    # In another case, a letter may be several: `ß` is `SS` in capitals.
    codes = {ord(case) for case in (c, c.lower(), c.upper()) if len(case) == 1}
    hexadecimal = "|".join(f"{code:02x}" for code in codes)
    decimal = "|".join(map(str, codes))
    wide = f"|{chr(ord(c) + 0xFEE0)}" if c.isascii() else ""
    return (
        rf"(?:(?<=\\)(?:u00|x)(?:{hexadecimal})|{re.escape(c)}{wide}|%(?:25){{0,4}}(?:{hexadecimal})"
        rf"|&\#(?:x0{{0,4}}(?:{hexadecimal})|0{{0,4}}(?:{decimal}));)"
    )


def may_match(secret: str, text: str) -> bool:
    """Whether `pattern(secret)` may match in `text`; a quick check that never misses a match.

    In ASCII without an escape, its letters and digits can only appear as themselves, in order.
    """
    if not (secret.isascii() and text.isascii()) or any(mark in text for mark in "\\%&"):
        return True
    return _NO_LETTER.sub("", secret.lower()) in _NO_LETTER.sub("", text.lower())


def may_be_disguised(data: bytes) -> bool:
    """Whether a character may be escaped or of full width."""
    return any(sign in data for sign in (b"\\", b"%", b"&")) or not data.isascii()
