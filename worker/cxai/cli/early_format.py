"""The format of the log before the settings have been read, or when they can't be.

It imports nothing of the package: a signal may need it before the imports that take time.
"""

import os
import sys
from collections.abc import Sequence

_OPTION = "--log-format"


def is_log_json() -> bool:
    """Whether the log is JSON: as it is configured, else by its option or its variable."""
    log = getattr(sys.modules.get("cxai.observe.logging"), "LOG", None)
    if log is not None and log.is_configured:
        return bool(log.as_json)
    wanted = _option(sys.argv[1:]) or os.environ.get("CXAI_LOG_FORMAT", "")
    return wanted.lower() == "json"


def _option(arguments: Sequence[str]) -> str:
    """Return the value of the option, the last if there are several, empty without any."""
    for before, argument in reversed(list(zip(["", *arguments], arguments, strict=False))):
        if argument.startswith(f"{_OPTION}="):
            return argument.removeprefix(f"{_OPTION}=")
        if before == _OPTION:
            return argument
    return ""
