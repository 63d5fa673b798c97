"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from cxai.output.registry import output_directory


def _directory(text: str) -> Path:
    return output_directory(text, "The directory").path


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
Column = Annotated[str | None, typer.Option(help="CSV column with the IDs: its name or number.")]
Field = Annotated[str | None, typer.Option(help="Field with the IDs, of JSONL or messages.")]
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


def is_shared(place: str) -> bool:
    """Whether a place is an export that workers share, and no directory."""
    return place.startswith(("postgres://", "postgresql://"))


def directory_of(place: str) -> Path:
    """Return the directory that a place is. Raises UsageError."""
    return _directory(place)
