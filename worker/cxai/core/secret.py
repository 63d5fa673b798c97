"""Recognizes the API token in text that came from outside: IDs have the same form."""

import re
import unicodedata

from cxai.core.guid import guid_in

# A shorter secret may be a part of an ordinary word or ID: it is looked for as a whole.
_PART_FROM_CHARS = 12

# %2D, \x2d, \u002d, \u{2d}, &#x2d; and &#45;. One by name, as &hyphen;, is no letter of a token.
_IN_HEX = re.compile(
    r"%([0-9a-f]{2})|\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\u\{0*([0-9a-f]{1,4})\}"
    r"|&#x0*([0-9a-f]{1,4});",
    re.IGNORECASE,
)
_IN_DECIMAL = re.compile("&#0*([0-9]{1,4});")
_BY_NAME = re.compile("&[a-z]+;", re.IGNORECASE)
_MOST_TIMES_ESCAPED = 3

_NO_LETTER = re.compile("[^0-9a-z]")


class Secrets:
    """Texts that must not be sent as an ID, written to a file or shown."""

    def __init__(self, *texts: str) -> None:
        self.guids: set[bytes] = set()
        """The 16 bytes of each secret that is a GUID: a fast test for IDs that are GUIDs."""
        self._letters: set[str] = set()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Recognize one more: a token that was renewed, say."""
        if guid := guid_in(text):
            self.guids.add(bytes.fromhex(guid.replace("-", "")))
        if letters := _letters(text):
            self._letters.add(letters)

    def are_in(self, text: str) -> bool:
        """Whether `text` holds a secret, in whatever case and with whatever signs between.

        Its characters may be escaped, as in a URL, in JSON, in a program or in HTML.
        """
        if not self._letters:
            return False
        for _ in range(_MOST_TIMES_ESCAPED + 1):
            letters = _letters(text)
            if any(
                secret in letters if len(secret) >= _PART_FROM_CHARS else secret == letters
                for secret in self._letters
            ):
                return True
            if (undone := _unescaped(text)) == text:
                return False
            text = undone
        return False

    def __repr__(self) -> str:
        return f"Secrets({len(self._letters)} hidden)"


def _unescaped(text: str) -> str:
    if not any(mark in text for mark in "%\\&"):
        return text
    text = _IN_HEX.sub(lambda found: chr(int(found[found.lastindex or 0], 16)), text)
    text = _IN_DECIMAL.sub(lambda found: chr(int(found[1])), text)
    return _BY_NAME.sub("", text)


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())
