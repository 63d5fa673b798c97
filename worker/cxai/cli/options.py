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
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Directory = Annotated[
    Path, typer.Argument(help="Directory of an export.", metavar="DIR", parser=_directory)
]
