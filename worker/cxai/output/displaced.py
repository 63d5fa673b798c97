"""Whether a file that is open is still what stands under its name."""

import os
from pathlib import Path


def is_displaced(path: Path, ours: os.stat_result, *, follow: bool = False) -> bool:
    """Whether something else than `ours`, or nothing, stands at `path` by now.

    `follow` says whether a symbolic link there is followed. Raises OSError if it can't be known.
    """
    try:
        there = path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not os.path.samestat(ours, there)
