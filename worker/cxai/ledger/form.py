"""What decides the form or the origin of an export's rows: the same for all runs into it."""

from dataclasses import dataclass, replace
from pathlib import Path

from cxai.core.layout import FAILURES, NO_BANDS, BandsMark, Layout
from cxai.errors import UsageError
from cxai.output.compression import Compression


@dataclass(frozen=True, slots=True)
class ExportForm:
    """What all runs into one directory have in common.

    `layout` says which results they are and in which sets they lie, `shape` which of its shapes the
    rows have, `origin` where the results come from, `bands` which score ranges name a band for each
    score.
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
        """Return this form with the origin and the score ranges of another."""
        return replace(self, origin=other.origin, bands=other.bands)


def refuse_other_resource(there: str, here: str, directory: Path) -> None:
    """Raise UsageError, naming both, if an export holds the results of another resource."""
    if there != here:
        raise UsageError(
            f"{directory} holds an export with resource {there}, not {here}."
            f' Set resource = "{there}", or export into a new directory.'
        )


def refuse_other_form(there: ExportForm, here: ExportForm, directory: Path) -> None:
    """Raise UsageError, naming both values, if rows of both can't stand in one export."""
    same_compression = f"Ask for --compression {there.compression}"
    same_bands = "Use the same score ranges (--score-bands)"
    differing = (
        ("shape", there.shape, here.shape, f"Ask for --shape {there.shape}"),
        ("compression", there.compression, here.compression, same_compression),
        ("results of", there.origin, here.origin, "Ask for the same API (--base-url)"),
        (
            "score ranges",
            there.bands,
            here.bands,
            same_bands if there.bands.digest else "Leave --score-bands out",
        ),
    )
    for what, stored, asked, remedy in differing:
        if stored != asked:
            raise UsageError(
                f"{directory} holds an export with {what} {stored}, not {asked}."
                f" {remedy}, or export into a new directory."
            )


def refuse_other_version(what: str, there: int, here: int, directory: Path) -> None:
    """Raise UsageError if another version of cxai wrote an export: `what` has another number."""
    if there == here:
        return
    newer = there > here
    by = "a newer version of cxai-worker" if newer else "an older version of cxai-worker (0.1)"
    raise UsageError(
        f"{directory} holds an export of {by}: {what} {there}, where this version has {here}."
        " Finish it with that version, or export into a new directory."
    )
