"""Standard streams: what a command prints, and what becomes of it where that is not possible."""

import atexit
import os
import sys
from io import TextIOWrapper
from typing import Any

from cxai.errors import UsageError

STDOUT, STDERR = 1, 2


def open_standard_streams() -> None:
    """Fill descriptors 0 to 2 where they are closed: else a file of ours would become one.

    The first can't be read and the second not be written: an input that isn't there is not an empty
    one, and a report that goes nowhere is lost. What is said on standard error may be.
    """
    for number, access in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        if _is_closed(number):
            os.open(os.devnull, access)  # gets the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    # What can't be shown is replaced; on standard error it is escaped, as Python does by default.
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)
    atexit.register(_drop_what_is_not_taken)


def _drop_what_is_not_taken() -> None:
    """Drop log lines that nothing takes: else Python would end with 120, whatever a run came to."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def unprinted(error: OSError) -> str:
    """Say that standard output does not take what was to be printed."""
    return f"Can't write to standard output: {error.strerror}."


def tell(text: str) -> None:
    """Print what was asked for. Raises UsageError if it can't be; a reader may leave early."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        if not isinstance(error, BrokenPipeError):
            raise UsageError(unprinted(error)) from None


def say(text: str) -> None:
    """Print on standard error; where that can't be, the exit code remains."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)


def json_text(value: Any) -> str:
    """Return JSON that survives the encoding of standard output, whatever that is."""
    import json  # noqa: PLC0415 - not for `cxai --help`

    import orjson  # noqa: PLC0415

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if text.isascii() or (sys.stdout.encoding or "").lower().replace("_", "-") == "utf-8":
        return text
    return json.dumps(json.loads(text), indent=2)
