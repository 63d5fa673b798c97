"""Kinds of texts: paths, secrets, and what is checked where it is used."""

from dataclasses import dataclass
from pathlib import Path

from cxai.core.secret_str import HoldsSecret, SecretStr
from cxai.errors import UsageError
from cxai.output.local_path import local_path
from cxai.settings.kind import Kind


@dataclass(frozen=True)
class File(Kind[Path]):
    """A path on this machine. `~` is expanded, a URL is refused."""

    metavar = "FILE"
    allowed = "the path of a file on this machine, not a URL"

    def parse(self, value: object) -> Path:
        if not isinstance(value, str | Path):
            raise self.refusal()
        try:
            return local_path(value, "The path")
        except UsageError:
            raise self.refusal() from None


@dataclass(frozen=True)
class Text(Kind[str]):
    """A text that is checked where it is used. `described` says what it is."""

    described: str
    metavar: str = "TEXT"

    @property
    def allowed(self) -> str:
        return self.described

    def parse(self, value: object) -> str:
        if not isinstance(value, str):
            raise self.refusal()
        return value


@dataclass(frozen=True)
class SecretUrl(Kind[SecretStr]):
    """A URL that may hold a password, so it is never shown."""

    form: str
    metavar = "URL"
    is_secret = True

    @property
    def allowed(self) -> str:
        return self.form

    def parse(self, value: object) -> SecretStr:
        if isinstance(value, str):
            return SecretStr(value)
        if callable(getattr(value, "get_secret_value", None)):
            holder: HoldsSecret = value  # type: ignore[assignment]  # it has just been tested
            return SecretStr(holder.get_secret_value())
        raise self.refusal()
