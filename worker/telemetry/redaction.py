"""The second wall around the token: no text leaves with it inside."""

from pydantic import SecretStr

_MASK = "[token]"


class Redaction:
    """Replaces a secret wherever it stands in a text. The first wall is never to put it there."""

    def __init__(self, secret: SecretStr | None = None) -> None:
        self._secret = secret

    def __call__(self, text: str) -> str:
        """Return `text` without the secret."""
        if self._secret is None:
            return text
        return text.replace(self._secret.get_secret_value(), _MASK)
