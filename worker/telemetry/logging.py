"""Log lines on standard error: one event a line, `key=value` for people or JSON for programs."""

import sys
from typing import Any

import structlog

from worker.telemetry.redaction import Redaction


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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
