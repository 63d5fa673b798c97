"""The settings: defined once (settings.py), and read from wherever they are given (origins.py)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxai.observe.options import LogFormat, LogLevel
from cxai.settings.definition import Setting, SettingsError
from cxai.settings.settings import Settings

__all__ = ["LogFormat", "LogLevel", "Setting", "Settings", "SettingsError", "load_settings"]


def load_settings(given: Mapping[str, Any], config: Path | None = None) -> Settings:
    """Return the settings, `given` (from the command line) before all others.

    They are by name, and former names are accepted with a warning in the log. `config` names a TOML
    file; without it CXAI_CONFIG may. Raises SettingsError, a UsageError, that lists all that is
    wrong, each with the place where it was given and what is allowed.
    """
    # Help needs no more than the definitions.
    from cxai.observe.logging import LOG  # noqa: PLC0415
    from cxai.settings.origins import load  # noqa: PLC0415

    loaded = load(given, config)
    for former, name in loaded.renamed.items():
        LOG.warning("setting_renamed", setting=former, use=name)
    return loaded.settings
