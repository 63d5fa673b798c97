"""Reads the file of score ranges."""

import tomllib
from pathlib import Path

from cxai.errors import UsageError
from cxai.resources.cx_ai.bands import Bands


def load_bands(path: Path) -> Bands:
    """Return the score ranges that the TOML file at `path` holds.

    Its form is shown by config/score_bands.example.toml. Raises UsageError, naming the file and
    what to do, if it can't be read or holds anything else.
    """
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"Score ranges {path}: can't be read: {reason}.") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise UsageError(f"Score ranges {path}: is not TOML: {error}.") from error
    try:
        return Bands(config)
    except UsageError as error:
        raise UsageError(f"Score ranges {path}: {error}") from error
