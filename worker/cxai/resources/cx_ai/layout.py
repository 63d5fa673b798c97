"""The part sets of CX AI results."""

from collections.abc import Mapping

from cxai.core.layout import FAILURES, Layout
from cxai.resources.options import Shape

SCHEMA_VERSION = 2  # increases when readers of the rows have to change

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
"""The part sets that a shape writes; all rows of a set have the same columns."""
