"""Options and arguments that several commands have."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxai.cluster.url import is_engine_url
from cxai.errors import UsageError
from cxai.output.local_path import local_path

if TYPE_CHECKING:  # takes long to import
    from cxai.settings import Settings


def _directory(text: str) -> Path:
    if is_engine_url(text):
        raise UsageError(
            f"{text} is an export that workers share, and no directory: this command is for exports"
            " on this machine."
        )
    return local_path(text, "The directory")


Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", parser=_directory, metavar="DIR", help="Directory of the export."
    ),
]
RunOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        parser=_directory,
        metavar="DIR",
        help="Directory of the export. (Not for an export that workers share.)",
        show_default=False,
    ),
]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file with settings.")]
Column = Annotated[str | None, typer.Option(help="CSV column with the IDs: its name or number.")]
Field = Annotated[str | None, typer.Option(help="Field with the IDs, of JSONL or messages.")]
IdPattern = Annotated[
    str | None, typer.Option(help="Regular expression of an ID; GUIDs by default.")
]
AllowEmpty = Annotated[
    bool | None, typer.Option("--allow-empty", help="An input without any ID is no error.")
]
UntilIdle = Annotated[
    str | None,
    typer.Option(
        "--until-idle",
        metavar="TIME",
        help="Time without a message that ends a queue, such as 60 or 2m. \\[never]",
    ),
]
Shape = Annotated[str | None, typer.Option(help="nested or tables. \\[nested]")]
Compression = Annotated[str | None, typer.Option(help="none, gzip or zstd. \\[none]")]
ScoreBands = Annotated[Path | None, typer.Option(help="TOML file with score ranges.")]
MaxFailed = Annotated[
    float | None, typer.Option(help="Share of IDs that may fail before exit code 1. [0]")
]
BaseUrl = Annotated[str | None, typer.Option(help="Where the API is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Directory = Annotated[
    Path, typer.Argument(help="Directory of an export.", metavar="DIR", parser=_directory)
]
Place = Annotated[
    str,
    typer.Argument(
        help="Directory of an export, or postgres://user@host/database#name of one that workers"
        " share.",
        metavar="DIR|URL",
    ),
]


def directory_of(place: str) -> Path:
    """Return the directory that a place is. Raises UsageError."""
    return _directory(place)


def settings_of(options: Mapping[str, Any], config: Path | None) -> "Settings":
    """Return the settings of a command: those among its options, and others as load_settings does.

    Raises UsageError.
    """
    from cxai.settings import Settings, load_settings

    given = {
        name: value
        for name, value in options.items()
        if value is not None and name in Settings.model_fields
    }
    return load_settings(given, config)
