"""Every resource that the worker can retrieve, by its name. A new one is one line here."""

from collections.abc import Callable, Mapping

from cxai.core.ports import Resource
from cxai.resources.options import RowOptions


def _cx_ai(options: RowOptions) -> Resource:
    from cxai.resources.cx_ai.resource import open_cx_ai  # noqa: PLC0415 - only what a run needs

    return open_cx_ai(options)


RESOURCES: Mapping[str, Callable[[RowOptions], Resource]] = {
    "cx_ai": _cx_ai,
}
"""Each opens its resource, whose modules are not imported before. Raises UsageError."""
