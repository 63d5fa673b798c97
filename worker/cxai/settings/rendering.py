"""Settings as files: each with what it is, what is allowed, and where its value comes from."""

import textwrap
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from cxai.settings.definition import Setting
from cxai.settings.origins import Loaded
from cxai.settings.settings import Settings
from cxai.settings.variables import VARIABLES

_COLUMNS = 100


def described(definition: Setting[Any]) -> str:
    """Return what a setting is, what is allowed and, if that is not a value, its default."""
    limits = definition.kind.range
    sentences = (
        definition.help,
        definition.more,
        limits and f"Allowed: {limits}.",
        definition.unset and f"Default: {definition.unset}.",
    )
    return " ".join(filter(None, sentences))


def comment(text: str) -> str:
    """Return a text as lines of comment."""
    lines = textwrap.wrap(text, _COLUMNS - 2, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"# {line}" for line in lines)


def grouped(paragraphs: Iterable[tuple[str, str]]) -> str:
    """Return paragraphs, each given with its group, under a heading for each group."""
    parts: list[str] = []
    for group, members in groupby(paragraphs, key=itemgetter(0)):
        parts += [f"# --- {group} ---", *(paragraph for _, paragraph in members)]
    return "\n\n".join(parts) + "\n"


def effective_as_toml(loaded: Loaded) -> str:
    """Return all settings with the values in effect, as TOML; secrets are not shown."""
    return "".join(f"{_effective(each, loaded)}\n" for each in Settings.definitions())


def _effective(definition: Setting[Any], loaded: Loaded) -> str:
    name, value = definition.name, getattr(loaded.settings, definition.name)
    origin = loaded.origins.get(name, "default")
    if value is None:
        return f"# {name} is not set: {definition.unset}"
    text = definition.show(value)
    has_password = definition.kind.metavar == "URL" and "@" in text
    if definition.kind.is_secret or has_password or loaded.is_secret(text):
        return f"# {name} is not shown, since it may hold a secret  # {origin}"
    return f"{name} = {definition.kind.toml(value)}  # {origin}"


def environment() -> str:
    """Return all environment variables with their defaults, commented out, as an env file."""
    settings = (
        (one.group, f"{comment(described(one))}\n# {one.variable}={one.show(one.default)}")
        for one in Settings.definitions()
    )
    others = (
        ("Not settings", f"{comment(variable.help)}\n# {variable.name}=") for variable in VARIABLES
    )
    return grouped((*settings, *others))
