"""Standard streams: what a command prints, and what happens where that is not possible."""

import atexit
import os
import sys
from io import TextIOWrapper
from typing import Any

from cxai.errors import UsageError

STDOUT, STDERR = 1, 2


def open_standard_streams() -> None:
    """Fill descriptors 0 to 2 where they are closed: else a file of ours would become one.

    Reading the first fails and so does writing the second: a missing input is not an empty one, and
    a report that goes nowhere is lost. Messages on standard error may be lost.
    """
    for number, access in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, access)  # gets the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    # What the encoding lacks is replaced; on standard error it is escaped, as Python does.
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)
    atexit.register(_flush_errors)


def drop_output(descriptor: int) -> None:
    """Send what is left in a stream's buffer nowhere: else Python would fail on it as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _flush_errors() -> None:
    try:
        sys.stderr.flush()
    except OSError:
        drop_output(STDERR)


def tell(text: str) -> None:
    """Print a result. Raises UsageError if that is not possible; a reader may leave early."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        drop_output(STDOUT)
        if not isinstance(error, BrokenPipeError):
            raise UsageError(f"Can't write to standard output: {error.strerror}.") from None


def tell_file(text: str) -> None:
    """Print the content of a file that is UTF-8 everywhere; on a terminal in its own encoding."""
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    tell(text)


def say(text: str) -> None:
    """Print a message on standard error; where that fails, the exit code remains."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        drop_output(STDERR)


def json_text(value: Any) -> str:
    """Return JSON for standard output, in its encoding: one line, but indented on a terminal."""
    import json  # noqa: PLC0415 - not for `cxai --help`

    import orjson  # noqa: PLC0415

    is_read_by_people = sys.stdout.isatty()
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if is_read_by_people else None).decode()
    if text.isascii() or (sys.stdout.encoding or "").lower().replace("_", "-") == "utf-8":
        return text
    return json.dumps(json.loads(text), indent=2 if is_read_by_people else None)
