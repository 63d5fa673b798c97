"""Writes config/default.toml and docs/settings.md from the definitions: `make settings`."""

from pathlib import Path

from cxai.settings import Settings
from cxai.settings.rendering import comment, described, grouped
from cxai.settings.variables import VARIABLES

ROOT = Path(__file__).parents[2]

TOML_HEAD = """\
# All settings of cxai with their defaults, written by `make settings`. Copy this file, remove the
# "#" before what you change, and pass it with --config FILE or CXAI_CONFIG=FILE.
#
# Each setting is also an environment variable: CXAI_ and its name in capitals (CXAI_RATE=2.5).
# Precedence: command line > environment > this file > default. `cxai config show` shows the result.
# Times are in seconds or have a unit (90, "15m", "12h"), sizes in bytes or with a unit ("8 MiB"),
# shares are from 0 to 1 or in percent ("5%").
# The API token is not a setting: it comes from CXAI_API_TOKEN or from token_file.

"""

PAGE_HEAD = """\
# Settings

Written by `make settings` from `worker/cxai/settings/settings.py`.

A setting comes from the first of these that has it: the command line (`--rate 2.5`), the
environment (`CXAI_RATE=2.5`: `CXAI_` and the name in capitals), a TOML file (`rate = 2.5`) that
`--config` or `CXAI_CONFIG` names, the default. [config/default.toml](../config/default.toml) is
such a file, with everything commented out.

- `cxai config show` prints the settings in effect, and where each comes from.
- `cxai config check` exits with 2 and lists all that is wrong, or exits with 0.
- `cxai config env` prints all environment variables.

Times are in seconds or have a unit (`90`, `90s`, `15m`, `12h`, `2d`). Sizes are in bytes or have a
unit (`8 MiB`, `256MB`). Shares are from 0 to 1 or in percent (`0.05`, `5%`).
"""


def default_toml():
    """Return the text of config/default.toml."""
    return TOML_HEAD + grouped(
        (one.group, f"{comment(described(one))}\n# {one.name} = {_toml(one)}")
        for one in Settings.definitions()
    )


def settings_page():
    """Return the text of docs/settings.md."""
    parts, group = [PAGE_HEAD], ""
    for one in Settings.definitions():
        if one.group != group:
            group = one.group
            parts.append(table(group, "setting", "option", "default", "allowed", "what"))
        default = one.unset or f"`{one.default_text}`"
        what = f"{one.help} {one.more}".rstrip()
        parts.append(row(f"`{one.name}`", f"`{one.option}`", default, one.kind.range, what))
    parts.append(table("Other environment variables", "variable", "what"))
    parts += (row(f"`{each.name}`", each.help) for each in VARIABLES)
    parts.append(table("Former names (accepted with a warning)", "was", "is"))
    parts += (
        row(f"`{former}`, `{option}`", f"`{one.name}`, `{one.option}`")
        for one in Settings.definitions()
        for former, option in one.former_options.items()
    )
    return "".join(parts)


def table(heading, *columns):
    """Return the beginning of a table, under a heading."""
    return f"\n## {heading}\n\n{row(*columns)}{'|---' * len(columns)}|\n"


def row(*cells):
    """Return a row of a table."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _toml(one):
    return '""' if one.default is None else one.kind.toml(one.default)


FILES = {"config/default.toml": default_toml, "docs/settings.md": settings_page}

if __name__ == "__main__":
    for name, text in FILES.items():
        (ROOT / name).write_text(text(), encoding="utf-8")
