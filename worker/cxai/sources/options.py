"""How a source is to be read."""

from dataclasses import dataclass

from cxai.core.entry import IdRule


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What is known of the input, whatever kind of source it comes from.

    `rule` says what an ID is. `column` and `field` are for files: they name the column of a table,
    or the field of JSON Lines, that holds the IDs. With `allow_empty`, an input without any ID is
    no error.
    """

    rule: IdRule
    column: str | None = None
    field: str | None = None
    allow_empty: bool = False
