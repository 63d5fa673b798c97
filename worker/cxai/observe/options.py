"""What a user can choose about the log and the progress of a run."""

import os
import sys
from enum import StrEnum

_CAN_NOT_DRAW = {"", "dumb", "unknown"}


class Progress(StrEnum):
    """How a run shows its progress: AUTO is BAR where standard error is a terminal, else LINES."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    NONE = "none"

    @property
    def shown(self) -> "Progress":
        """What AUTO means here and now; a terminal that can't draw gets lines, even for BAR."""
        can_draw = sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in _CAN_NOT_DRAW
        if self in {Progress.AUTO, Progress.BAR}:
            return Progress.BAR if can_draw else Progress.LINES
        return self


class LogFormat(StrEnum):
    """The format of log lines."""

    LOGFMT = "logfmt"
    JSON = "json"
