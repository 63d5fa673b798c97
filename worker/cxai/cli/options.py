"""Options and arguments that several commands have. A command only names those that are settings.

The values of settings are read together, so that all that are wrong are reported together.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxai.cli.exits import configure_early_log
from cxai.cli.help import Argument, Option
from cxai.cli.values import Place, Typed, metavar_of
from cxai.errors import UsageError
from cxai.settings import Level, LogFormat, Settings, SettingsError
from cxai.settings.choices import Switch
from cxai.settings.definition import Setting
from cxai.settings.settings import INPUT, OUTPUT, RUN
from cxai.settings.texts import File

if TYPE_CHECKING:  # help needs only the definitions
    from cxai.settings.origins import Loaded

SOURCES = Argument(
    ["sources"], nargs=-1, type=Typed(File()), metavar="[SOURCE]...", group=INPUT,
    help="Files with interaction IDs (text with one ID a line, CSV or JSON Lines; plain, gzip or"
    " zstd), - for standard input, or a queue: redis://HOST/DB/STREAM, sqs://NAME.",
)  # fmt: skip
CONFIG = Option(
    ["-c", "--config"], type=Typed(File()), metavar="FILE", group=RUN,
    help="TOML file with settings.", default_text="the variable CXAI_CONFIG",
)  # fmt: skip
AS_JSON = Option(["--json", "as_json"], is_flag=True, group=OUTPUT, help="Print JSON.")
PLACE = Argument(
    ["place"], type=Place(), metavar="DIR|URL", group=INPUT,
    help="Directory of an export, or postgres://USER@HOST/DATABASE#NAME of a shared one.",
)  # fmt: skip
QUIET = Option(
    ["-q", "--quiet"], is_flag=True, group=RUN,
    help="Show only warnings and errors: no progress, and no report if all went well.",
)  # fmt: skip
VERBOSE = Option(["-v", "--verbose"], is_flag=True, group=RUN, help="Log every request.")

_QUIET = {"log_level": "warning", "progress": "none"}
_VERBOSE = {"log_level": "debug"}


def settings_options(*names: str, **defaults: str) -> list[click.Parameter]:
    """Return the options of settings; `defaults` are a command's own, for its help."""
    options: list[click.Parameter] = []
    for setting in map(Settings.definition, names):
        options.append(SettingOption(setting, defaults.get(setting.name)))
        options += [  # accepted, but not shown
            Option([option, name], type=Typed(setting.kind), hidden=True)
            for name, option in setting.former_options.items()
        ]
    return options


class SettingOption(Option):
    """The option of a setting. `default` is the default of the command, for its help."""

    def __init__(self, setting: Setting[Any], default: str | None = None) -> None:
        names, attributes = setting.option, {}
        if isinstance(setting.kind, Switch):
            names = f"{setting.option}/--no-{setting.option.removeprefix('--')}"
            default = "on" if setting.default else "off"
        else:
            attributes = {"type": Typed(setting.kind), "metavar": metavar_of(setting.kind)}
        super().__init__(
            [names, setting.name], default=None, group=setting.group, help=setting.help,
            is_advanced=setting.advanced, default_text=default or setting.default_text,
            **attributes,
        )  # fmt: skip


def settings_of(
    options: Mapping[str, Any],
    config: str | None = None,
    *,
    quiet: bool = False,
    verbose: bool = False,
) -> Settings:
    """Return the settings of a command: its options that were given, and others as load_settings.

    `quiet` and `verbose` stand for settings, unless these are given themselves. The log has a
    warning for each former name. Raises UsageError.
    """
    from cxai.settings.origins import load  # noqa: PLC0415 - help needs only the definitions

    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other: leave one out.")
    meant = _QUIET if quiet else _VERBOSE if verbose else {}
    try:
        loaded = load({**meant, **given(options)}, None if config is None else Path(config))
    except SettingsError as error:
        if (log_format := error.usable.get("log_format")) is not None:
            configure_early_log(as_json=log_format is LogFormat.JSON)
        raise
    if loaded.renamed:
        _warn_of_former_names(loaded)
    return loaded.settings


def _warn_of_former_names(loaded: "Loaded") -> None:
    from cxai.core.events import Event  # noqa: PLC0415 - few command lines need it

    settings = loaded.settings
    log = configure_early_log(
        as_json=settings.log_format is LogFormat.JSON, level=settings.log_level
    )
    for former, name in loaded.renamed.items():
        text = f"{former} is now called {name}."
        log.see(Event("setting_renamed", Level.WARNING, {"setting": former, "use": name}, text))


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given. Raises UsageError for a password among them."""
    if "@" in (options.get("proxy") or ""):
        raise UsageError(
            "--proxy holds a user name or a password, which every user of this machine could see in"
            " the list of processes. Set CXAI_PROXY instead."
        )
    return {name: value for name, value in options.items() if value is not None}
