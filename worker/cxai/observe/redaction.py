"""The second wall around the token: no text leaves with it inside."""

import re

from cxai.core.secret import MASK
from cxai.core.secret_str import HoldsSecret
from cxai.core.spelling import anchor, may_be_disguised, may_match, pattern

# A shorter one would be found in ordinary words of the data.
_LEAST_CHARS_IN_DATA = 8


class _Hidden:
    """One secret. Its pattern takes 20 ms to compile: only a text that may match it needs it."""

    def __init__(self, secret: HoldsSecret) -> None:
        self._secret = secret
        self._pattern: re.Pattern[str] | None = None

    def masked_in(self, text: str) -> str:
        secret = self._secret.get_secret_value()
        if not may_match(secret, text):
            return text
        if self._pattern is None:
            self._pattern = pattern(secret)
        return self._pattern.sub(MASK, text)


class Redaction:
    """Replaces a secret wherever it stands in a text. The first wall is never to put it there.

    It is found in every spelling that core/spelling.py knows. Log formats put backslashes before
    some characters, `repr` inside of JSON several: the secret is found with them, too. `secrets`
    are those that it hides.
    """

    def __init__(self, secret: HoldsSecret | None = None) -> None:
        self.secrets: tuple[HoldsSecret, ...] = ()
        self._hidden: list[_Hidden] = []
        self._anchors: list[bytes] = []
        if secret is not None:
            self.add(secret)

    def add(self, secret: HoldsSecret) -> None:
        """Hide another secret, too."""
        self.secrets += (secret,)
        text = secret.get_secret_value()
        self._hidden.append(_Hidden(secret))
        if len(text) >= _LEAST_CHARS_IN_DATA:
            self._anchors.append(anchor(text.lower()))

    def __call__(self, text: str) -> str:
        """Return `text` without any of the secrets."""
        for hidden in self._hidden:
            text = hidden.masked_in(text)
        return text

    def may_be_in(self, data: bytes) -> bool:
        """Whether a secret of 8 characters or more may stand in `data`, of any case; fast."""
        if not self._anchors:
            return False
        lower = data.lower()
        return any(one in lower for one in self._anchors) or may_be_disguised(data)
