"""How CX AI results lie in the files of an export."""

from collections.abc import Mapping

from cxai.core.layout import FAILURES, Layout
from cxai.resources.options import Shape

SCHEMA_VERSION = 2
"""Grows when a reader of the rows would have to change."""

RECORDS = "records"
INTERACTIONS = "interactions"
SCORES = "scores"
SEGMENTS = "segments"

LAYOUT = Layout(
    resource="cx_ai",
    schema_version=SCHEMA_VERSION,
    shapes={Shape.NESTED: (RECORDS,), Shape.TABLES: (INTERACTIONS, SCORES, SEGMENTS)},
)

PART_SETS: Mapping[Shape, tuple[str, ...]] = {
    shape: (*LAYOUT.shapes[shape], FAILURES) for shape in Shape
}
"""The sets of parts that a shape writes; the rows of a set have the same columns."""
