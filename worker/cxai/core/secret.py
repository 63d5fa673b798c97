"""Recognizes the API token in text that came from outside: IDs have the same form."""

from cxai.core.guid import guid_in
from cxai.core.spelling import MOST_TIMES_ESCAPED, as_id, letters, unescaped

MASK = "[token]"
"""What stands in the place of a secret."""

# A shorter secret may be a part of an ordinary word or ID: it is looked for as a whole.
_PART_FROM_CHARS = 12


class Secrets:
    """Texts that must not be sent as an ID, written to a file or shown."""

    def __init__(self, *texts: str) -> None:
        self.guids: set[bytes] = set()
        """The 16 bytes of each secret that is a GUID: a fast test for IDs that are GUIDs."""
        self._letters: set[str] = set()
        self._as_ids: set[str] = set()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Recognize one more: a token that was renewed, say."""
        if guid := guid_in(text):
            self.guids.add(bytes.fromhex(guid.replace("-", "")))
        if found := letters(text):
            self._letters.add(found)
        if text:
            self._as_ids.add(as_id(text))

    def are_in(self, text: str) -> bool:
        """Whether `text` holds a secret, in whatever case and with whatever signs between.

        Its characters may be escaped, as in a URL, in JSON, in a program or in HTML.
        """
        if not self._letters:
            return False
        for _ in range(MOST_TIMES_ESCAPED + 1):
            found = letters(text)
            if any(
                secret in found if len(secret) >= _PART_FROM_CHARS else secret == found
                for secret in self._letters
            ):
                return True
            if (undone := unescaped(text)) == text:
                return False
            text = undone
        return False

    def include(self, interaction_id: str) -> bool:
        """Whether an ID that is otherwise allowed is one of them; quick, for each request."""
        return as_id(interaction_id) in self._as_ids

    def __repr__(self) -> str:
        return f"Secrets({len(self._letters)} hidden)"
