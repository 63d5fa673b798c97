"""Log lines on standard error: one event a line, `key=value` for people or JSON for programs.

No line ever holds a run up: while nobody reads (a full pipe, a stopped terminal), it is dropped.
"""

import select
import sys
from typing import Any

import structlog

from worker.telemetry.redaction import Redaction


def stderr_takes() -> bool:
    """Whether standard error takes a line of up to 4 KiB without making its writer wait."""
    try:
        poll = select.poll()
        poll.register(sys.stderr.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # no descriptor (of a test), or a closed one: writing tells
        return True


class _Lossy:
    """Standard error, without the lines that it does not take just now."""

    def write(self, line: str) -> int:
        return sys.stderr.write(line) if stderr_takes() else len(line)

    def flush(self) -> None:
        if stderr_takes():
            sys.stderr.flush()


def configure_logging(redaction: Redaction, *, as_json: bool) -> None:
    """Send events to standard error; the token can't pass, wherever it hides in an event."""

    def redact(_logger: Any, _method: str, line: Any) -> str:
        return redaction(line)  # rendered by then, whatever the signature says

    render: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.processors.LogfmtRenderer(key_order=["at", "level", "event"])
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            render,
            redact,
        ],
        logger_factory=structlog.WriteLoggerFactory(_Lossy()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
