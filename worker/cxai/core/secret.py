"""Recognizes the API token in input, since it has the form of an ID."""

from cxai.core.guid import guid_in
from cxai.core.spelling import MOST_TIMES_ESCAPED, as_id, letters, unescaped

MASK = "[token]"  # replaces a secret

# A shorter secret may be part of an ordinary word or ID: only the whole text is compared.
_PART_FROM_CHARS = 12


class Secrets:
    """Texts that must never be sent as an ID, written to a file or shown.

    `guids` has the 16 bytes of each that is a GUID, for a fast check of IDs that are GUIDs.
    """

    def __init__(self, *texts: str) -> None:
        self.guids: set[bytes] = set()
        self._letters: set[str] = set()
        self._as_ids: set[str] = set()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Recognize another secret, such as a renewed token."""
        if guid := guid_in(text):
            self.guids.add(bytes.fromhex(guid.replace("-", "")))
        if found := letters(text):
            self._letters.add(found)
        if text:
            self._as_ids.add(as_id(text))

    def are_in(self, text: str) -> bool:
        """Whether `text` holds a secret, in any case and with any signs between its letters.

        Its characters may be escaped as in URLs, JSON, programs or HTML.
        """
        if not self._letters:
            return False
        for _ in range(MOST_TIMES_ESCAPED + 1):
            found = letters(text)
            if found in self._letters:
                return True
            if any(secret in found for secret in self._letters if len(secret) >= _PART_FROM_CHARS):
                return True
            if (undone := unescaped(text)) == text:
                return False
            text = undone
        return False

    def include(self, interaction_id: str) -> bool:
        """Whether an otherwise allowed ID is one of them; fast enough for each request."""
        return as_id(interaction_id) in self._as_ids

    def __repr__(self) -> str:
        return f"Secrets({len(self._letters)} hidden)"
