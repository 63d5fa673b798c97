"""Log lines on standard error: one event a line, `key=value` for people or JSON for programs.

No line ever holds a run up: while nobody reads (a full pipe, a stopped terminal), it is dropped.
"""

import json
import re
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from cxai.core.timestamp import timestamp
from cxai.observe.redaction import Redaction

_NEEDS_QUOTES = re.compile(r"""[\x00-\x20="\x7f-\x9f\u2028\u2029]""")
# These end a line, or command a terminal, too; JSON leaves them as they are.
_LEFT_BY_JSON = re.compile("[\x7f-\x9f\u2028\u2029]")


def stderr_takes() -> bool:
    """Whether standard error takes a line of up to 4 KiB without making its writer wait."""
    try:
        if not hasattr(select, "poll"):  # some macOS builds of Python
            return bool(select.select([], [sys.stderr.fileno()], [], 0)[1])
        poll = select.poll()
        poll.register(sys.stderr.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # no descriptor (of a test), or a closed one: writing tells
        return True


def _write_to_stderr(line: str) -> None:
    """Write a line, unless standard error does not take it just now, or can't take it at all."""
    if stderr_takes():
        with suppress(OSError):  # full, or its reader has left: no reason to end a run
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


class Log:
    """Where events go; nowhere until it is configured, which a command does and a library does not.

    It renders them itself: structlog took 0.1 s to import, a fifth of the start.
    """

    def __init__(self) -> None:
        self._redaction = Redaction()
        self._is_configured = False
        self._as_json = False

    @property
    def is_configured(self) -> bool:
        """Whether it is known how the log is to look."""
        return self._is_configured

    @property
    def as_json(self) -> bool:
        """Whether programs read the log: then each line of standard error is to be JSON."""
        return self._as_json

    def configure(self, redaction: Redaction, *, as_json: bool) -> None:
        """Send events to standard error; the token can't pass, wherever it hides in an event."""
        self._redaction = redaction
        self._is_configured = True
        self._as_json = as_json

    def redacted(self, text: str) -> str:
        """Return a text without the token, for what goes to people beside the log."""
        return self._redaction(text)

    def info(self, event: str, **values: Any) -> None:
        """Tell of what is as it should be."""
        self._write("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        """Tell of what somebody may have to look at."""
        self._write("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        """Report what makes the exit code another than 0."""
        self._write("error", event, values)

    def end(self, event: str, *, exit_code: int, **values: Any) -> None:
        """Report how a command ended, as an error unless it is with 0.

        Not before it is known how the log is to look, nor on a terminal, where the same stands in
        the report or in a message beside it.
        """
        if self._is_configured and (self._as_json or not sys.stderr.isatty()):
            report = self.error if exit_code else self.info
            report(event, exit_code=exit_code, **values)

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        if not self._is_configured:
            return
        render = _as_json if self._as_json else _as_logfmt
        at = timestamp(datetime.now(UTC))
        line = render({"at": at, "level": level, "event": event, **values})
        _write_to_stderr(self._redaction(line))


LOG = Log()
"""The one log of the process."""


def _as_json(event: Mapping[str, Any]) -> str:
    try:
        return json.dumps(event, default=repr, allow_nan=False)
    except (TypeError, ValueError):  # a key or a number that JSON doesn't have, somewhere inside
        return json.dumps({key: _within_json(value) for key, value in event.items()})


def _within_json(value: Any) -> Any:
    has_it = isfinite(value) if isinstance(value, float) else isinstance(value, str | int | None)
    return value if has_it else repr(value)


def _as_logfmt(event: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_logfmt_value(value)}" for key, value in event.items())


def _logfmt_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if not _NEEDS_QUOTES.search(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _LEFT_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
