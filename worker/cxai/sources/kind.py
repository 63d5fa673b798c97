"""How the lines of an input are read."""

from enum import Enum, auto


class Kind(Enum):
    """One ID a line, a table with a header row, or one JSON object a line."""

    TEXT = auto()
    CSV = auto()
    JSON_LINES = auto()
