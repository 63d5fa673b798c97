"""The settings: defined once (settings.py), and read from wherever they are given (origins.py)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxai.core.events import Level
from cxai.observe.options import LogFormat
from cxai.settings.base import SettingsError
from cxai.settings.definition import Setting
from cxai.settings.settings import Settings

__all__ = ["Level", "LogFormat", "Setting", "Settings", "SettingsError", "load_settings"]


def load_settings(given: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Return the settings, `given` (from the command line) before those of environment and file.

    `config` names a TOML file, else CXAI_CONFIG does. Raises SettingsError, which lists all faults.
    """
    from cxai.settings.origins import load  # noqa: PLC0415 - help needs only the definitions

    return load(given, config).settings
