"""Where the file with all settings and their defaults lies."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def defaults_file() -> Path:
    """Return the path of default.toml: beside this file in a wheel, in config/ in a checkout."""
    shipped = _PACKAGE / "default.toml"
    return shipped if shipped.exists() else _PACKAGE.parents[1] / "config" / "default.toml"


DEBUG_VARIABLE = "CXAI_DEBUG"
"""The environment variable that asks for tracebacks and for the log of level debug."""
