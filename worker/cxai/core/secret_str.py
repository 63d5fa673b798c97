"""A text that is never shown: the API token, a password, a URL that may hold one."""

from typing import AnyStr, Generic, Protocol


class HoldsSecret(Protocol):
    """What returns a secret text on request: a SecretStr of ours, or pydantic's."""

    def get_secret_value(self) -> str:
        """Return the text itself."""


class _Secret(Generic[AnyStr]):
    """Holds a secret. `str` and `repr` show asterisks, so no log or traceback reveals it."""

    __slots__ = ("_value",)

    def __init__(self, value: AnyStr) -> None:
        self._value: AnyStr = value

    def get_secret_value(self) -> AnyStr:
        """Return the secret itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __str__(self) -> str:
        return "**********" if self._value else ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class SecretStr(_Secret[str]):
    """A secret text."""

    __slots__ = ()


class SecretBytes(_Secret[bytes]):
    """Secret bytes."""

    __slots__ = ()
