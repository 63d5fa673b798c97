"""The folder for files that can't stay where they are. Nothing is ever deleted."""

import os
from pathlib import Path

from cxai.output.contents import SET_ASIDE
from cxai.output.private import make_directory


def place_aside(directory: Path, name: str) -> Path:
    """Return a free place for a file of that name in the quarantine of an export.

    The folder is made if it is not there. Raises OSError.
    """
    aside = directory / SET_ASIDE
    if not aside.exists():
        make_directory(aside)
    target = aside / name
    copies = 1
    while os.path.lexists(target):
        copies += 1
        target = aside / f"{name}.{copies}"
    return target
