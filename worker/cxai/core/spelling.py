"""How a text may spell a secret: the one place that knows.

In upper and lower case, with and without its hyphens or with other signs between its letters, with
letters of full width, and with characters escaped as URLs, JSON, HTML, programs and `repr` escape
them, several times over. What is found here is used in two ways: a text from outside is undone to
its letters (`letters`, `unescaped`), and a text of ours is searched with a pattern, so that what is
around the secret stays as it is (`pattern`).
"""

import re
import unicodedata
from urllib.parse import unquote

# --- a text from outside, undone ---

# %2D, \x2d, \u002d, \u{2d}, &#x2d; and &#45;. One by name, as &hyphen;, is no letter of a token.
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
    """Return the letters and digits of a text alone, of any width, in small letters."""
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())


def unescaped(text: str) -> str:
    """Return a text whose escaped characters are undone once; the same if there are none."""
    if not any(mark in text for mark in "%\\&"):
        return text
    text = _IN_HEX.sub(lambda found: chr(int(found[found.lastindex or 0], 16)), text)
    text = _IN_DECIMAL.sub(lambda found: chr(int(found[1])), text)
    return _BY_NAME.sub("", text)


def as_id(text: str) -> str:
    """Return what an allowed ID (core/entry.py) and a secret have in common if they are the same.

    Such an ID has letters, digits and `-._~` only, and a server may read `%` escapes in it.
    """
    plain = unquote(text) if "%" in text else text
    return plain.replace("-", "").lower()


# --- a text of ours, searched ---

# From so many letters and digits on, these alone tell, whatever stands between them.
_LEAST_LETTERS = 12
_GUID_GROUPS = re.compile(
    "([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})"
)
_LETTERS_AND_DIGITS = re.compile("[a-z0-9]+")

# Between two letters: what is none, as it is or as URLs, HTML and JSON write it. Nothing that the
# form of a log line needs is taken along.
_GAP = (
    r"""[^0-9A-Za-z\uff10-\uff5a"'{}\[\],\n]"""
    r"|%(?:25){0,4}(?:2[0-9a-f]|5f)"
    r"|&\#(?:x0{0,4}(?:2[0-9a-f]|5f|20[0-9a-f]{2})|0{0,4}(?:3[2-9]|4[0-7]|95));|&[a-z]{2,8};"
    r"|\\{1,8}u(?:00(?:2[0-9a-f]|5f)|20[0-9a-f]{2})"
)
_LONGEST_GAP = 8


def anchor(secret: str) -> bytes:
    """Return what all spellings without disguise (`may_be_disguised`) have in common."""
    guid = _GUID_GROUPS.fullmatch(secret)  # with its hyphens or without
    runs = guid.groups() if guid else _LETTERS_AND_DIGITS.findall(secret)
    return max(runs, key=len, default="").encode()


def pattern(secret: str) -> re.Pattern[str]:
    """Return the pattern of a secret in all its spellings."""
    if sum(c.isalnum() for c in secret) < _LEAST_LETTERS:
        return re.compile("".join(map(_character, secret)), re.IGNORECASE)
    runs = re.split("([0-9A-Za-z])", secret)  # what stands between the letters, and each of them
    between, those = runs[0::2], runs[1::2]
    gaps = [_gap(own) for own in between[1:-1]]
    parts = [f"(?:{_spelled(between[0])})?"]
    for letter, gap in zip(those, [*gaps, ""], strict=True):
        parts += [_character(letter), gap]
    parts.append(f"(?:{_spelled(between[-1])})?")
    return re.compile("".join(parts), re.IGNORECASE)


def _gap(own: str) -> str:
    """Return the pattern of what may stand between two letters that have `own` between them."""
    also = "".join(f"|{_spelled(c)}" for c in dict.fromkeys(own))
    return f"(?:{_GAP}{also}){{0,{_LONGEST_GAP + len(own)}}}"


def _character(c: str) -> str:
    return rf"\\{{0,8}}{_spelled(c)}" + ("?" if c == "-" else "")


def _spelled(text: str) -> str:
    """Return the pattern of a text whose characters are as they are, or otherwise written."""
    return "".join(map(_one_spelled, text))


def _one_spelled(c: str) -> str:
    # In another case, a letter may be several: `ß` is `SS` in capitals.
    codes = {ord(case) for case in (c, c.lower(), c.upper()) if len(case) == 1}
    hexadecimal = "|".join(f"{code:02x}" for code in codes)
    decimal = "|".join(map(str, codes))
    plain = r"\\{1,8}" if c == "\\" else re.escape(c)
    wide = chr(ord(c) + 0xFEE0) if c.isascii() else plain
    return (
        rf"(?:{plain}|{wide}|%(?:25){{0,4}}(?:{hexadecimal})|\\{{1,8}}(?:u00|x)(?:{hexadecimal})"
        rf"|&\#(?:x0{{0,4}}(?:{hexadecimal})|0{{0,4}}(?:{decimal}));)"
    )


# With these, a text can spell a character otherwise: escapes, and letters of full width.
_DISGUISES = (b"\\", b"%", b"&")


def may_match(secret: str, text: str) -> bool:
    """Whether `pattern(secret)` may be found in a text: False is certain, and takes no pattern.

    In ASCII without an escape the letters and digits of a secret can only stand as themselves, one
    after the other, with other signs between them.
    """
    if not (secret.isascii() and text.isascii()) or any(mark in text for mark in "\\%&"):
        return True
    return _NO_LETTER.sub("", secret.lower()) in _NO_LETTER.sub("", text.lower())


def may_be_disguised(data: bytes) -> bool:
    """Whether some character may be spelled otherwise than as itself."""
    return any(sign in data for sign in _DISGUISES) or not data.isascii()
