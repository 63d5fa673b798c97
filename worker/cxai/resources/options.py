"""What a run asks of the rows of a resource, whichever it is."""

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
    """The file of score ranges: where it is, for people, and what it holds."""

    path: Path
    content: bytes

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return those of a file. Raises UsageError, naming it, if it can't be read."""
        try:
            return cls(path, path.read_bytes())
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UsageError(f"Score ranges {path}: can't be read: {reason}.") from error


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What decides the rows of a run.

    `run_id` is in every row. `score_bands` are the score ranges that name a band for each score,
    None if there are none.
    """

    shape: Shape
    run_id: str
    score_bands: ScoreRanges | None = None
