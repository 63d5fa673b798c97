"""What a run asks of the rows of a resource, whichever it is."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Shape(StrEnum):
    """How a result is laid out in lines."""

    NESTED = "nested"
    TABLES = "tables"


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What decides the rows of a run.

    `run_id` is in every row. `score_bands` is the file with the score ranges that name a band for
    each score, None if there is none.
    """

    shape: Shape
    run_id: str
    score_bands: Path | None = None
