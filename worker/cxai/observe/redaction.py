"""The second wall around the token: no text leaves with it inside."""

import re
from typing import Protocol

from cxai.core.secret import MASK
from cxai.core.spelling import anchor, may_be_disguised, pattern

# A shorter one would be found in ordinary words of the data.
_LEAST_CHARS_IN_DATA = 8


class Secret(Protocol):
    """A text that its `repr` hides, such as pydantic's SecretStr (which takes long to import)."""

    def get_secret_value(self) -> str:
        """Return the text itself."""
        ...


class Redaction:
    """Replaces a secret wherever it stands in a text. The first wall is never to put it there.

    It is found in every spelling that core/spelling.py knows. Log formats put backslashes before
    some characters, `repr` inside of JSON several: the secret is found with them, too. `secrets`
    are those that it hides.
    """

    def __init__(self, secret: Secret | None = None) -> None:
        self.secrets: tuple[Secret, ...] = ()
        self._found: list[re.Pattern[str]] = []
        self._anchors: list[bytes] = []
        if secret is not None:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Hide another secret, too."""
        self.secrets += (secret,)
        text = secret.get_secret_value()
        self._found.append(pattern(text))
        if len(text) >= _LEAST_CHARS_IN_DATA:
            self._anchors.append(anchor(text.lower()))

    def __call__(self, text: str) -> str:
        """Return `text` without any of the secrets."""
        for found in self._found:
            text = found.sub(MASK, text)
        return text

    def may_be_in(self, data: bytes) -> bool:
        """Whether a secret of 8 characters or more may stand in `data`, of any case; fast."""
        if not self._anchors:
            return False
        lower = data.lower()
        return any(one in lower for one in self._anchors) or may_be_disguised(data)
