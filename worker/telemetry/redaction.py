"""The second wall around the token: no text leaves with it inside."""

import re

from pydantic import SecretStr

_MASK = "[token]"

# A shorter one would be found in ordinary words of the data.
_LEAST_CHARS_IN_DATA = 8

_LETTERS_AND_DIGITS = re.compile("[a-z0-9]+")


class Redaction:
    """Replaces a secret wherever it stands in a text. The first wall is never to put it there.

    It is found in upper and lower case, with and without its hyphens, and as URLs write it. Log
    formats put backslashes before some characters, `repr` inside of JSON several: the secret is
    found with them, too.
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
            # What all spellings have in common.
            anchor = max(_LETTERS_AND_DIGITS.findall(text.lower()), key=len, default="")
            self._anchors.append(anchor.encode())

    def __call__(self, text: str) -> str:
        """Return `text` without any of the secrets."""
        for found in self._found:
            text = found.sub(_MASK, text)
        return text

    def may_be_in(self, data: bytes) -> bool:
        """Whether a secret of 8 characters or more may stand in `data`, of any case; fast."""
        lower = data.lower()
        return any(anchor in lower for anchor in self._anchors)


def _however_written(secret: str) -> re.Pattern[str]:
    return re.compile("".join(map(_character, secret)), re.IGNORECASE)


def _character(c: str) -> str:
    if c.isalnum():
        return rf"\\*{c}"
    plain = r"\\+" if c == "\\" else rf"\\*{re.escape(c)}"
    optional = "?" if c == "-" else ""
    return f"(?:{plain}|%{ord(c):02x}){optional}"
