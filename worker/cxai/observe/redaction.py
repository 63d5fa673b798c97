"""The second wall around the token: no text leaves with it inside."""

import re

from pydantic import SecretStr

_MASK = "[token]"

# A shorter one would be found in ordinary words of the data.
_LEAST_CHARS_IN_DATA = 8

# From so many letters and digits on, these alone tell, whatever stands between them.
_LEAST_LETTERS = 12
_GUID_GROUPS = re.compile(
    "([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})"
)
_LETTERS_AND_DIGITS = re.compile("[a-z0-9]+")

# With these, a text can spell a character otherwise: escapes, and letters of full width.
_DISGUISES = (b"\\", b"%", b"&")

# Between two letters: what is none, as it is or as URLs, HTML and JSON write it. Nothing that the
# form of a log line needs is taken along.
_GAP = (
    r"""[^0-9A-Za-z\uff10-\uff5a"'{}\[\],\n]"""
    r"|%(?:25){0,4}(?:2[0-9a-f]|5f)"
    r"|&\#(?:x0{0,4}(?:2[0-9a-f]|5f|20[0-9a-f]{2})|0{0,4}(?:3[2-9]|4[0-7]|95));|&[a-z]{2,8};"
    r"|\\{1,8}u(?:00(?:2[0-9a-f]|5f)|20[0-9a-f]{2})"
)
_LONGEST_GAP = 8


class Redaction:
    """Replaces a secret wherever it stands in a text. The first wall is never to put it there.

    It is found in upper and lower case, with and without its hyphens or with other signs between
    its letters, and as URLs, HTML and JSON may write its characters. Log formats put backslashes
    before some characters, `repr` inside of JSON several: the secret is found with them, too.
    """

    def __init__(self, secret: SecretStr | None = None) -> None:
        self._found: list[re.Pattern[str]] = []
        self._anchors: list[bytes] = []
        if secret is not None:
            self.add(secret)

    def add(self, secret: SecretStr) -> None:
        """Hide another secret, too."""
        text = secret.get_secret_value()
        self._found.append(_however_written(text))
        if len(text) >= _LEAST_CHARS_IN_DATA:
            self._anchors.append(_anchor(text.lower()))

    def __call__(self, text: str) -> str:
        """Return `text` without any of the secrets."""
        for found in self._found:
            text = found.sub(_MASK, text)
        return text

    def may_be_in(self, data: bytes) -> bool:
        """Whether a secret of 8 characters or more may stand in `data`, of any case; fast."""
        if not self._anchors:
            return False
        lower = data.lower()
        return (
            any(anchor in lower for anchor in self._anchors)
            or any(sign in data for sign in _DISGUISES)
            or not data.isascii()
        )


def _anchor(secret: str) -> bytes:
    """Return what all spellings without disguise have in common."""
    guid = _GUID_GROUPS.fullmatch(secret)  # with its hyphens or without
    runs = guid.groups() if guid else _LETTERS_AND_DIGITS.findall(secret)
    return max(runs, key=len, default="").encode()


def _however_written(secret: str) -> re.Pattern[str]:
    letters = sum(c.isalnum() for c in secret)
    if letters < _LEAST_LETTERS:
        return re.compile("".join(map(_character, secret)), re.IGNORECASE)
    runs = re.split("([0-9A-Za-z])", secret)  # what stands between the letters, and each of them
    between, those = runs[0::2], runs[1::2]
    gaps = [_gap(own) for own in between[1:-1]]
    pattern = [f"(?:{_spelled(between[0])})?"]
    for letter, gap in zip(those, [*gaps, ""], strict=True):
        pattern += [_character(letter), gap]
    pattern.append(f"(?:{_spelled(between[-1])})?")
    return re.compile("".join(pattern), re.IGNORECASE)


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
    codes = {ord(c.lower()), ord(c.upper())}
    hexadecimal = "|".join(f"{code:02x}" for code in codes)
    decimal = "|".join(map(str, codes))
    plain = r"\\{1,8}" if c == "\\" else re.escape(c)
    wide = chr(ord(c) + 0xFEE0)
    return (
        rf"(?:{plain}|{wide}|%(?:25){{0,4}}(?:{hexadecimal})|\\{{1,8}}(?:u00|x)(?:{hexadecimal})"
        rf"|&\#(?:x0{{0,4}}(?:{hexadecimal})|0{{0,4}}(?:{decimal}));)"
    )
