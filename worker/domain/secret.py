"""Recognizes the API token in text that came from outside: IDs have the same form."""

import re
import unicodedata

from worker.domain.guid import guid_in

# A shorter secret may be a part of an ordinary word or ID: it is looked for as a whole.
_PART_FROM_CHARS = 12

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
        """Whether `text` holds a secret, in whatever case and with whatever signs between."""
        if not self._letters:
            return False
        letters = _letters(text)
        return any(
            secret in letters if len(secret) >= _PART_FROM_CHARS else secret == letters
            for secret in self._letters
        )

    def __repr__(self) -> str:
        return f"Secrets({len(self._letters)} hidden)"


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold())
