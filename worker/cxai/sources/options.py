"""Options for reading a source."""

from dataclasses import dataclass
from pathlib import Path

from cxai.core.entry import IdRule
from cxai.core.events import Emit
from cxai.core.secret_str import SecretStr

DEFAULT_NAMES = ("interaction_id", "interactionIdentifier")
"""The usual names of the column or field that contains the ID: our own, and the API's."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options for a source of any kind; each kind uses those that apply to it.

    `rule` decides what an ID is. `column` names the CSV column of the IDs, `field` the field of
    JSON Lines or of queue messages. With `allow_empty`, an input without IDs is not an error.

    A queue ends after `until_idle_s` seconds without a message, None for never, and is retried for
    `patience_s` seconds while it is unreachable. The Redis password comes from
    `redis_password_file`, else from `redis_password`. `emit` receives events for the log.
    """

    rule: IdRule
    column: str | None
    field: str | None
    allow_empty: bool
    until_idle_s: float | None
    patience_s: float
    redis_password_file: Path | None
    redis_password: SecretStr | None = None
    emit: Emit = lambda _event, **_values: None
