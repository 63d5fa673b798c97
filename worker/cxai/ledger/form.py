"""The form of an export: what decides the shape or the origin of its rows, for all runs into it."""

from dataclasses import dataclass, replace
from pathlib import Path

from cxai.core.layout import FAILURES, NO_BANDS, BandsMark, Layout
from cxai.errors import UsageError
from cxai.output.compression import Compression


@dataclass(frozen=True, slots=True)
class ExportForm:
    """What all runs into one directory have in common.

    `layout` is the kind of results and their part sets, `shape` one of its shapes, `origin` the API
    they come from, `bands` the score ranges that name a band for each score.
    """

    layout: Layout
    shape: str
    compression: Compression
    origin: str = ""
    bands: BandsMark = NO_BANDS

    @property
    def record_sets(self) -> tuple[str, ...]:
        """The sets that hold the rows of a result; the first has one row per interaction."""
        return self.layout.shapes[self.shape]

    @property
    def sets(self) -> tuple[str, ...]:
        """All sets of an export of this form."""
        return *self.record_sets, FAILURES

    def from_elsewhere(self, other: "ExportForm") -> "ExportForm":
        """Return this form with the origin and the score ranges of `other`."""
        return replace(self, origin=other.origin, bands=other.bands)


def refuse_other_form(there: ExportForm, here: ExportForm, directory: Path) -> None:
    """Raise UsageError, naming both values, if rows of both can't be in one export."""
    bands = "Use the same --score-bands" if there.bands.digest else "Omit --score-bands"
    differing = (
        ("shape", "shape", f"Use --shape {there.shape}"),
        ("compression", "compression", f"Use --compression {there.compression}"),
        ("results from", "origin", "Use the same --base-url"),
        ("score ranges", "bands", bands),
    )
    for what, name, remedy in differing:
        stored, given = getattr(there, name), getattr(here, name)
        if stored != given:
            raise UsageError(
                f"{directory} has an export with {what} {stored}, not {given}."
                f" {remedy}, or export into a new directory."
            )


def refuse_other_version(what: str, there: int, here: int, directory: Path) -> None:
    """Raise UsageError if the number of `what` shows that another version of cxai wrote it."""
    if there != here:
        newer = there > here
        by = "a newer version of cxai-worker" if newer else "an older version of cxai-worker (0.1)"
        raise UsageError(
            f"{directory} has an export of {by}: its {what} is {there}, this version's is {here}."
            " Finish it with that version, or export into a new directory."
        )
