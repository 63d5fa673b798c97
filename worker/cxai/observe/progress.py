"""How a run shows its progress, as a choice."""

import sys
from enum import StrEnum


class Progress(StrEnum):
    """AUTO is BAR where standard error is a terminal, LINES elsewhere."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    NONE = "none"

    @property
    def shown(self) -> "Progress":
        """The choice that AUTO comes to here and now."""
        if self is not Progress.AUTO:
            return self
        return Progress.BAR if sys.stderr.isatty() else Progress.LINES
