"""The files that a resource writes: their part sets, and the settings that shape their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FAILURES = "failures"
"""The part set that lists every ID without a record, for every resource and shape."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The part sets that a `resource` writes, by the shape of its rows.

    `schema_version` increases when readers of the rows have to change. The first set of a shape has
    exactly one row per interaction.
    """

    resource: str
    schema_version: int
    shapes: Mapping[str, tuple[str, ...]]

    @property
    def all_sets(self) -> frozenset[str]:
        """The sets of all shapes, and that of the failures."""
        return frozenset(name for sets in self.shapes.values() for name in sets) | {FAILURES}


@dataclass(frozen=True, slots=True)
class BandsMark:
    """Identifies score ranges: by `digest`, and for people by `name`.

    Equal ranges are equal here, whatever the name and layout of their file.
    """

    digest: str
    name: str = field(compare=False)

    def __str__(self) -> str:
        """Return the text to show."""
        return f"{self.name} ({self.digest[:8]})" if self.digest else self.name


NO_BANDS = BandsMark("", "none")
