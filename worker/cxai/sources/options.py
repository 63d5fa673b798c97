"""How a source is to be read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cxai.core.entry import IdRule
from cxai.core.secret_str import SecretStr


class Notice(Protocol):
    """Takes events that an operator may have to look at."""

    def __call__(self, event: str, **values: Any) -> None:
        """Note an event: a stable name, and what belongs to it."""
        ...


def unnoticed(event: str, **values: Any) -> None:
    """Note nothing."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What is known of the input, whatever kind of source it comes from.

    `rule` says what an ID is. `column` is for files: it names the column of a table that holds the
    IDs. `field` is that of JSON Lines, or of the messages of a queue. With `allow_empty`, an input
    without any ID is no error.

    The others are for queues. One in which no message has come for `until_idle_s` seconds has
    ended, without it none ever ends. One that can't be reached is waited for `patience_s` seconds.
    The password of Redis is in `redis_password_file`, or else `redis_password`. `notice` gets what
    the log is to have.
    """

    rule: IdRule
    column: str | None
    field: str | None
    allow_empty: bool
    until_idle_s: float | None
    patience_s: float
    redis_password_file: Path | None
    redis_password: SecretStr | None = None
    notice: Notice = unnoticed
