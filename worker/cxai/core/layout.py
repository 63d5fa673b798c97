"""How the results of a resource lie in files: their sets, and what decides their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FAILURES = "failures"
"""The set of parts that lists every ID without a record, whatever the resource and the shape."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The sets of parts that a resource writes.

    `resource` is its name. `schema_version` grows when a reader of the rows would have to change.
    `shapes` has, for each shape of rows, the sets that hold the rows of a result; the first of them
    has exactly one row per interaction.
    """

    resource: str
    schema_version: int
    shapes: Mapping[str, tuple[str, ...]]

    @property
    def all_sets(self) -> frozenset[str]:
        """The sets of every shape, and that of the failures."""
        return frozenset(name for sets in self.shapes.values() for name in sets) | {FAILURES}


@dataclass(frozen=True, slots=True)
class BandsMark:
    """Tells score ranges from others: `digest` of what they say, and `name` for people.

    Ranges that say the same are equal, whatever their file is called and however it is laid out.
    """

    digest: str
    name: str = field(compare=False)

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.name} ({self.digest[:8]})" if self.digest else self.name


NO_BANDS = BandsMark("", "none")
