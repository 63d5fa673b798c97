"""How a source is to be read."""

from dataclasses import dataclass

from cxai.core.entry import IdRule


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What is known of the input, whatever kind of source it comes from.

    `rule` says what an ID is. `column` names the column of a table that holds the IDs, `field` the
    field of JSON Lines; a source that has neither refuses them. `allow_empty`: that there is no ID
    is no error.
    """

    rule: IdRule
    column: str | None = None
    field: str | None = None
    allow_empty: bool = False
