"""What a user can choose about the log and the progress of a run."""

import sys
from enum import StrEnum


class Progress(StrEnum):
    """How a run shows its progress: AUTO is BAR where standard error is a terminal, else LINES."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    NONE = "none"

    @property
    def shown(self) -> "Progress":
        """The choice that AUTO makes here and now."""
        if self is not Progress.AUTO:
            return self
        return Progress.BAR if sys.stderr.isatty() else Progress.LINES


class LogFormat(StrEnum):
    """The format of log lines."""

    LOGFMT = "logfmt"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severe events that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
