"""The settings: defined once (settings.py), and read from wherever they are given (origins.py)."""

from cxai.observe.options import LogFormat, LogLevel
from cxai.settings.definition import Setting, SettingsError
from cxai.settings.origins import load_settings
from cxai.settings.settings import Settings

__all__ = ["LogFormat", "LogLevel", "Setting", "Settings", "SettingsError", "load_settings"]
