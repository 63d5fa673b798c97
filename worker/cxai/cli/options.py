"""Options and arguments that several commands have.

Those that are settings come from the definition of the settings (cxai/settings): a command only
names them. `load_settings` reads their values, so that it can report all that are wrong together.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cxai.cli.help import Argument, Option
from cxai.cluster.url import is_engine_url
from cxai.errors import UsageError
from cxai.output.registry import output_directory
from cxai.settings import Settings, load_settings
from cxai.settings.choices import Switch
from cxai.settings.definition import Setting
from cxai.settings.kind import Kind
from cxai.settings.texts import File


class Value(click.ParamType[Any]):
    """The value of an option, of one of the kinds that settings have."""

    name = "value"

    def __init__(self, kind: Kind[Any]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value that the text stands for."""
        try:
            return self.kind.parse(value)
        except ValueError as error:
            self.fail(f"{value!r} can't be used: {error}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the names of a choice, and files."""
        if isinstance(self.kind, File):
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(one) for one in self.kind.choices if one.startswith(incomplete)]


class Typed(Value):
    """A value that is read later, as typed: it is completed as one of its kind."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text."""
        return value


class _Place(click.ParamType[Any]):
    """An export: a directory, or the URL of a shared one."""

    name = "place"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete directories."""
        return [CompletionItem(incomplete, type="dir")]


class _Directory(_Place):
    """An export on this machine. Raises UsageError for a shared one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the directory."""
        return directory_of(str(value))


DIRECTORY = _Directory()


def directory_of(place: str) -> Path:
    """Return the directory that a place is. Raises UsageError."""
    if is_engine_url(place):
        raise UsageError(
            f"{place} is an export that workers share, not a directory. This command works on"
            " exports on this machine."
        )
    return output_directory(place, "The directory").path


OUTPUT, RUN, INPUT = "Output", "Run", "Input"
"""Groups of options on a help page, beside those of the settings."""

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
    ["place"], type=_Place(), metavar="DIR|URL", group=INPUT,
    help="Directory of an export, or postgres://USER@HOST/DATABASE#NAME of a shared one.",
)  # fmt: skip
QUIET = Option(
    ["-q", "--quiet"], is_flag=True, group=RUN,
    help="Show only warnings and errors: no progress, and no report if all went well.",
)  # fmt: skip
VERBOSE = Option(["-v", "--verbose"], is_flag=True, group=RUN, help="Log every request.")


def metavar_of(kind: Kind[Any]) -> str:
    """Return what stands for a value on the help page; alternatives are in brackets."""
    return f"[{kind.metavar}]" if "|" in kind.metavar else kind.metavar


def settings_options(*names: str, **defaults: str) -> list[click.Parameter]:
    """Return the options of settings; of all settings if none is named.

    `defaults` are for the help of a command that has its own.
    """
    chosen = [Settings.definition(name) for name in names] or Settings.definitions()
    options: list[click.Parameter] = []
    for setting in chosen:
        options.append(_option_of(setting, defaults.get(setting.name, setting.default_text)))
        options += [  # accepted, but not shown
            Option([option, name], type=Typed(setting.kind), hidden=True)
            for name, option in setting.former_options.items()
        ]
    return options


def _option_of(setting: Setting[Any], default: str) -> Option:
    attributes: dict[str, Any] = {
        "group": setting.group, "help": setting.help, "is_advanced": setting.advanced,
        "default": None,
    }  # fmt: skip
    if isinstance(setting.kind, Switch):
        off = f"--no-{setting.option.removeprefix('--')}"
        names = [f"{setting.option}/{off}", setting.name]
        return Option(names, default_text="on" if setting.default else "off", **attributes)
    return Option(
        [setting.option, setting.name], type=Typed(setting.kind),
        metavar=metavar_of(setting.kind), default_text=default or None, **attributes,
    )  # fmt: skip


def settings_of(
    options: Mapping[str, Any], config: str | None, *, quiet: bool = False, verbose: bool = False
) -> Settings:
    """Return the settings of a command: its options that were given, and others as load_settings.

    `quiet` and `verbose` are settings as well, unless these are given themselves.
    Raises UsageError.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other: leave one out.")
    level = {"log_level": "warning", "progress": "none"} if quiet else {}
    if verbose:
        level = {"log_level": "debug"}
    given = {name: value for name, value in options.items() if value is not None}
    return load_settings({**level, **given}, None if config is None else Path(config))
