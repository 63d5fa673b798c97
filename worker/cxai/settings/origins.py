"""Where settings come from: command line > environment > TOML file > default."""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxai.api.token import VARIABLE as TOKEN_VARIABLE
from cxai.core.secret import Secrets
from cxai.errors import UsageError
from cxai.output.local_path import local_path
from cxai.settings.base import SettingsError, meant
from cxai.settings.definition import PREFIX, option_of, variable_of
from cxai.settings.settings import Settings
from cxai.settings.variables import CONFIG_VARIABLE, VARIABLES, is_service_link

_ADVICE = "`cxai config env` lists all settings."


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the place where each was given that was: an option, a variable, a key.

    `renamed` has each place with a former name, and the name to write there. `is_secret` is whether
    a text holds a secret of the environment.
    """

    settings: Settings
    origins: Mapping[str, str]
    renamed: Mapping[str, str]
    is_secret: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Given:
    """Settings of one place, what is wrong, and how a name is `written` there."""

    written: Callable[[str], str]
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
    options = _Given(_option, dict(given), {name: _option(name) for name in given})
    for each in (_from_file(config), _from_environment(), options):
        checked = Settings.check(each.values, each.places, hidden.are_in)
        values |= checked.values
        problems += (*each.problems, *checked.problems)
        for former, name in checked.renamed.items():
            renamed[each.places[former]] = each.written(name)
        origins |= {checked.renamed.get(name, name): each.places[name] for name in each.values}
    if problems:
        raise SettingsError(problems, _ADVICE, values)
    return Loaded(Settings(**values), origins, renamed, hidden.are_in)


def _option(name: str) -> str:
    known = {definition.name: definition.option for definition in Settings.definitions()}
    return known.get(name) or option_of(name)


def _from_file(config: Path | None) -> _Given:
    if config is None and (named := os.environ.get(CONFIG_VARIABLE)):
        config = Path(named)
    if config is None:
        return _Given(str)
    path = local_path(config, "The settings file")
    found = _Given(str)
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
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"Can't read the settings file {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # also of a very long number
        raise UsageError(f"The settings file {path} is not valid TOML: {error}") from None


def _from_environment() -> _Given:
    """Return the settings of the environment; a name may be written in small letters, too."""
    other = {variable.name for variable in VARIABLES}
    found = _Given(variable_of)
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
