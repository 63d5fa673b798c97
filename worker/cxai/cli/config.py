"""`cxai config show`, `check` and `env`: the settings in effect, and all that there are."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxai.api.token import VARIABLE as TOKEN_VARIABLE
from cxai.cli.help import Group, Page
from cxai.cli.options import CONFIG, given, settings_options
from cxai.cli.streams import tell, tell_file
from cxai.settings import Settings, SettingsError

if TYPE_CHECKING:  # help needs no more than the definitions
    from cxai.settings.origins import Loaded

_ALL = [one.name for one in Settings.definitions()]


@click.command(
    cls=Page,
    params=[*settings_options(*_ALL), CONFIG],
    examples=["cxai config show", "cxai config show -c nightly.toml --rate 20 > effective.toml"],
)
def show(*, config: str | None, **options: Any) -> None:
    """Print the settings in effect as TOML, each with its origin.

    Takes the same options, variables and file as a run. Secrets are not shown.
    """
    from cxai.settings.rendering import effective_as_toml

    loaded = _loaded(options, config)
    comments = [f"# {one}" for one in _renamed(loaded)]
    tell_file("\n".join((*comments, effective_as_toml(loaded).rstrip("\n"))))


@click.command(
    cls=Page,
    params=[*settings_options(*_ALL), CONFIG],
    examples=["cxai config check -c nightly.toml", "cxai config check --proxy http://proxy:3128"],
    exit_codes={0: "A run can use the settings.", 2: "It can't; all problems are listed."},
)
def check(*, config: str | None, **options: Any) -> None:
    """Check the settings, the files that they name, and the token. Sends no request."""
    from cxai.app.config_check import problems_of

    loaded = _loaded(options, config)
    if problems := problems_of(loaded.settings):
        raise SettingsError(problems)
    lines = [*_renamed(loaded), "The settings can be used."]
    if loaded.settings.token_file is None and not os.environ.get(TOKEN_VARIABLE):
        lines.append(f"A run also needs an API token: set {TOKEN_VARIABLE} or token_file.")
    tell("\n".join(lines))


@click.command(cls=Page, examples=["cxai config env", "cxai config env > cxai.env"])
def env() -> None:
    """Print every environment variable with its range, default and meaning, as an env file."""
    from cxai.settings.rendering import environment

    tell(environment().rstrip("\n"))


config = Group(
    "config",
    commands=[show, check, env],
    help="Show and check the settings.",
    examples=["cxai config show", "cxai config check -c nightly.toml"],
)


def _loaded(options: dict[str, Any], config: str | None) -> "Loaded":
    from cxai.settings.origins import load

    return load(given(options), None if config is None else Path(config))


def _renamed(loaded: "Loaded") -> list[str]:
    return [f"{former} is now called {name}." for former, name in loaded.renamed.items()]
