"""How a run shows its progress, as a choice."""

from enum import StrEnum


class Progress(StrEnum):
    """AUTO is BAR where standard error is a terminal, LINES elsewhere."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    NONE = "none"
