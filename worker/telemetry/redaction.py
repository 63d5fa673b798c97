"""The second wall around the token: no text leaves with it inside."""

import re

from pydantic import SecretStr

_MASK = "[token]"


class Redaction:
    """Replaces a secret wherever it stands in a text. The first wall is never to put it there.

    Log formats put backslashes before some characters, `repr` inside of JSON several: the secret
    is found with them, too.
    """

    def __init__(self, secret: SecretStr | None = None) -> None:
        self._found: list[re.Pattern[str]] = []
        if secret is not None:
            self.add(secret)

    def add(self, secret: SecretStr) -> None:
        """Hide another secret, too."""
        self._found.append(_escaped_or_not(secret.get_secret_value()))

    def __call__(self, text: str) -> str:
        """Return `text` without any of the secrets."""
        for found in self._found:
            text = found.sub(_MASK, text)
        return text


def _escaped_or_not(secret: str) -> re.Pattern[str]:
    return re.compile("".join(r"\\+" if c == "\\" else r"\\*" + re.escape(c) for c in secret))
