"""Where settings come from: command line > environment > TOML file > default."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxai.api.token import VARIABLE as TOKEN_VARIABLE
from cxai.core.secret import Secrets
from cxai.errors import UsageError
from cxai.output.local_path import local_path
from cxai.settings.definition import PREFIX, SettingsError, meant, option_of
from cxai.settings.settings import Settings
from cxai.settings.variables import CONFIG_VARIABLE, VARIABLES, is_service_link

_ADVICE = "`cxai config env` lists all settings."


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the place where each was given that was: an option, a variable, a key."""

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    """Settings as one place gives them, the name of each place there, and what is wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def load(given: Mapping[str, Any], config: Path | None = None) -> Loaded:
    """Return the settings with their origins; see cxai.settings.load_settings."""
    hidden = Secrets(*(os.environ.get(one.name, "") for one in VARIABLES if one.is_secret))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    renamed: dict[str, str] = {}
    problems: list[str] = []
    for each in (_from_file(config), _from_environment(), _from_options(given)):
        checked = Settings.check(each.values, each.places, hidden.are_in)
        values |= checked.values
        problems += (*each.problems, *checked.problems)
        for name in each.values:
            current = checked.renamed.get(name, name)
            origins[current] = each.places[name]
            if name != current:
                renamed[each.places[name]] = current
    if problems:
        raise SettingsError(problems, _ADVICE)
    if renamed:
        _warn(renamed)
    return Loaded(Settings(**values), origins)


def _warn(renamed: Mapping[str, str]) -> None:
    from cxai.observe.logging import LOG  # noqa: PLC0415 - few runs need it

    for place, name in renamed.items():
        definition = Settings.definition(name)
        names = {"-": definition.option, PREFIX[0]: definition.variable}
        LOG.warning("setting_renamed", setting=place, use=names.get(place[0].upper(), name))


def _from_options(given: Mapping[str, Any]) -> _Given:
    known = {definition.name: definition.option for definition in Settings.definitions()}
    return _Given(dict(given), {name: known.get(name) or option_of(name) for name in given})


def _from_file(config: Path | None) -> _Given:
    if config is None and (named := os.environ.get(CONFIG_VARIABLE)):
        config = Path(named)
    if config is None:
        return _Given()
    path = local_path(config, "The settings file")
    found = _Given()
    for name, value in _read_toml(path).items():
        if "token" in name and name != "token_file":
            found.problems.append(
                f"{name} in {path}: a token does not belong in a settings file; set"
                f" {TOKEN_VARIABLE}, or name a file that holds it with token_file"
            )
        else:
            found.values[name] = value
            found.places[name] = f"{name} in {path}"
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise UsageError(f"Can't read the settings file {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"The settings file {path} is not valid TOML: {error}") from None


def _from_environment() -> _Given:
    """Return the settings of the environment; a name may be written in small letters, too."""
    other = {variable.name for variable in VARIABLES}
    found = _Given()
    for written, value in os.environ.items():
        upper = written.upper()
        if not upper.startswith(PREFIX) or written in other:
            continue
        name = upper.removeprefix(PREFIX).lower()
        if upper in other:
            found.problems.append(f"{written}: is read as {upper} only")
        elif Settings.current_name(name) is not None:
            if found.values.setdefault(name, value) != value:
                found.problems.append(
                    f"{written}: differs from {found.places[name]}; set one of them"
                )
            found.places.setdefault(name, written)
        elif not is_service_link(written, value):
            found.problems.append(f"{written}: no such setting{_meant(upper, other)}")
    return found


def _meant(variable: str, other: set[str]) -> str:
    known = other | {definition.variable for definition in Settings.definitions()}
    bare = [name.removeprefix(PREFIX) for name in known]  # the prefix makes all look alike
    question = meant(variable.removeprefix(PREFIX), bare)
    return question.replace("mean ", f"mean {PREFIX}")
