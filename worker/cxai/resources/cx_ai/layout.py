"""How CX AI results lie in the files of an export."""

from cxai.core.layout import FAILURES, Layout
from cxai.resources.cx_ai.records import PART_SETS, SCHEMA_VERSION

LAYOUT = Layout(
    resource="cx_ai",
    schema_version=SCHEMA_VERSION,
    shapes={
        shape.value: tuple(name for name in sets if name != FAILURES)
        for shape, sets in PART_SETS.items()
    },
)
