"""The options of a run for the rows of any resource."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from cxai.errors import UsageError


class Shape(StrEnum):
    """How a result is laid out in lines."""

    NESTED = "nested"
    TABLES = "tables"


@dataclass(frozen=True, slots=True)
class ScoreRanges:
    """The file of score ranges: its path, for messages, and its content."""

    path: Path
    content: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file. Raises UsageError, naming it, if it can't be read."""
        try:
            return cls(path, path.read_bytes())
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UsageError(f"Score ranges {path}: can't be read: {reason}.") from error


@dataclass(frozen=True, slots=True)
class RowOptions:
    """The options that determine the rows of a run.

    `run_id` is in every row. `score_bands` are the ranges that give each score a band, or None.
    """

    shape: Shape
    run_id: str
    score_bands: ScoreRanges | None = None
