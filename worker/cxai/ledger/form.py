"""What decides the form or the origin of an export's rows: the same for all runs into it."""

from dataclasses import dataclass
from pathlib import Path

from cxai.core.layout import FAILURES, NO_BANDS, BandsMark
from cxai.errors import IntegrityError, UsageError
from cxai.ledger.sqlite import FORMAT, Database
from cxai.output.compression import Compression
from cxai.resources.cx_ai.layout import PART_SETS, SCHEMA_VERSION
from cxai.resources.options import Shape


@dataclass(frozen=True, slots=True)
class ExportForm:
    """What all runs into one directory have in common.

    `origin` is where the results come from, `resource` which results, `bands` the score ranges
    that name a band for each score.
    """

    shape: Shape
    compression: Compression
    origin: str = ""
    bands: BandsMark = NO_BANDS
    resource: str = "cx_ai"

    @property
    def record_sets(self) -> tuple[str, ...]:
        """The sets that hold the rows of a result; the first has one row per interaction."""
        return tuple(name for name in PART_SETS[self.shape] if name != FAILURES)

    def as_row(self) -> dict[str, str | int]:
        """Return it as the ledger stores it."""
        return {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "shape": self.shape.value,
            "compression": self.compression.value,
            "origin": self.origin,
            "resource": self.resource,
            "bands": self.bands.digest,
            "bands_name": self.bands.name,
        }


def read_form(database: Database, directory: Path) -> ExportForm:
    """Return the form of an export.

    Raises UsageError if another version of cxai wrote it, IntegrityError if it is damaged.
    """
    row = database.rows("read_format").fetchone()
    if row is None:
        raise IntegrityError(f"{directory}: the ledger is damaged (it has no form of its rows).")
    format_, schema_version = row
    if (format_, schema_version) != (FORMAT, SCHEMA_VERSION):
        newer = format_ > FORMAT or schema_version > SCHEMA_VERSION
        by = "a newer version of cxai-worker" if newer else "an older version of cxai-worker (0.1)"
        raise UsageError(
            f"{directory} holds an export of {by}: ledger format {format_} and schema version"
            f" {schema_version}, where this version has {FORMAT} and {SCHEMA_VERSION}. Finish it"
            " with that version, or export into a new directory."
        )
    shape, compression, origin, resource, bands, name = database.rows("read_form").fetchone()
    try:
        return ExportForm(
            Shape(shape), Compression(compression), origin, BandsMark(bands, name), resource
        )
    except ValueError as error:
        raise IntegrityError(f"{directory}: the ledger is damaged ({error}).") from None


def refuse_other_form(there: ExportForm, here: ExportForm, directory: Path) -> None:
    """Raise UsageError, naming both values, if rows of both can't stand in one export."""
    differing = (
        ("shape", there.shape, here.shape, f"Ask for --shape {there.shape}"),
        (
            "compression",
            there.compression,
            here.compression,
            f"Ask for --compression {there.compression}",
        ),
        (
            "results of",
            there.origin,
            here.origin,
            "Ask for the same API (--base-url)",
        ),
        ("resource", there.resource, here.resource, f"Ask for {there.resource}"),
        (
            "score ranges",
            there.bands,
            here.bands,
            "Use the same score ranges (--score-bands)"
            if there.bands.digest
            else "Leave --score-bands out",
        ),
    )
    for what, stored, asked, remedy in differing:
        if stored != asked:
            raise UsageError(
                f"{directory} holds an export with {what} {stored}, not {asked}."
                f" {remedy}, or export into a new directory."
            )
