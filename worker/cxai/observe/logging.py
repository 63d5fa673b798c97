"""The log on standard error: one event a line, `key=value` for people or JSON for programs.

No line ever holds a run up: while nothing reads (a full pipe, a stopped terminal), it is dropped.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from cxai.core.events import Event, Level
from cxai.core.timestamp import timestamp
from cxai.observe.redaction import Redaction
from cxai.observe.stderr import has_live_view, is_terminal, write_line

_NEEDS_QUOTES = re.compile(r"""[\x00-\x20="\x7f-\x9f\u2028\u2029]""")
# These end a line, or command a terminal, too; JSON leaves them as they are.
_LEFT_BY_JSON = re.compile("[\x7f-\x9f\u2028\u2029]")

# On a terminal, the live view and the report say this.
_SEEN_ON_A_TERMINAL = frozenset({"run_started", "run_finished"})
_OVER_CTRL_C = "\r"  # to the start of the line, where a terminal has echoed `^C`


class Log:
    """Writes events of its level and above, and whatever explains an exit code.

    It renders them itself: structlog took 0.1 s to import, a fifth of the start.
    """

    def __init__(self) -> None:
        self.as_json = False
        self.is_configured = False
        self._level = Level.INFO
        self._redaction = Redaction()

    def configure(self, redaction: Redaction, *, as_json: bool, level: Level = Level.INFO) -> None:
        """Set what the lines look like; the token can't pass, wherever it hides in an event."""
        self._redaction, self.as_json, self._level = redaction, as_json, level
        self.is_configured = True

    def see(self, event: Event) -> None:
        """Write an event, unless it is below the level, or people see it elsewhere."""
        if not (self._level.includes(event.level) or event.values.get("exit_code")):
            return
        if self.as_json:
            line = _as_json(_fields(event))
        elif event.text:
            if has_live_view():  # it has the text among its rows
                return
            line = f"{_OVER_CTRL_C if is_terminal() else ''}cxai: {event.text}"
        elif event.name in _SEEN_ON_A_TERMINAL and is_terminal():
            return
        else:
            line = " ".join(f"{key}={_logfmt_value(one)}" for key, one in _fields(event).items())
        write_line(self._redaction(line))


LOG = Log()
"""The one log of the process. A command attaches it to its run; a library does not."""


def _fields(event: Event) -> dict[str, Any]:
    at = timestamp(datetime.now(UTC))
    reason = {"reason": event.text} if event.text else {}
    return {"at": at, "level": event.level.value, "event": event.name, **event.values, **reason}


def _as_json(values: Any) -> str:
    try:
        return json.dumps(values, default=str, allow_nan=False)
    except (TypeError, ValueError):  # a key or a number that JSON doesn't have, somewhere inside
        return json.dumps(_within_json(values))


def _within_json(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _within_json(one) for key, one in value.items()}
        case list() | tuple():
            return [_within_json(one) for one in value]
        case float() if not isfinite(value):
            return str(value)
        case bool() | int() | float() | None:
            return value
        case _:
            return str(value)


def _logfmt_value(value: Any) -> str:
    if value is None:
        return ""
    is_structure = isinstance(value, bool | list | tuple | Mapping)
    text = _as_json(value) if is_structure else str(value)
    if not _NEEDS_QUOTES.search(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
