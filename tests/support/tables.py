"""CSV read into items, for tests of tables and their headers."""

from cxai.core.entry import IdRule, IgnoredLine
from cxai.sources.table import items_of_table

A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"

B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"


def items(data, column="id", size=65_536):
    if isinstance(data, str):
        data = data.encode()
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    return [i for block in items_of_table(chunks, "ids.csv", IdRule(), column) for i in block]


def read(data, column="id"):
    """Return (line, ID or reason) for each entry, and ignored lines as they are."""
    return [
        item
        if isinstance(item, IgnoredLine)
        else (item.line, item.invalid.kind if item.invalid else item.id)
        for item in items(data, column)
    ]
