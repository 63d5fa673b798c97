"""The folder for part files that can't stay where they are. Nothing is ever deleted."""

import os
from pathlib import Path

from cxai.output.contents import QUARANTINE
from cxai.output.private import make_directory


def quarantine_path(directory: Path, name: str) -> Path:
    """Return a free path for a file of that name in the quarantine of an export.

    Creates the folder if needed. Raises OSError.
    """
    folder = directory / QUARANTINE
    if not folder.exists():
        make_directory(folder)
    target, copies = folder / name, 1
    while os.path.lexists(target):
        copies += 1
        target = folder / f"{name}.{copies}"
    return target
