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
Column = Annotated[str | None, typer.Option(help="CSV column with the IDs: its name or number.")]
Field = Annotated[str | None, typer.Option(help="Field with the IDs, of JSONL or messages.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Directory = Annotated[
    Path, typer.Argument(help="Directory of an export.", metavar="DIR", parser=_directory)
]
