"""Every resource that can be retrieved. A new one takes a module and a line in RESOURCES.

The module, imported on use, has the resource's `LAYOUT`, and a function `open_resource(options)`
that returns the Resource, or raises UsageError for options that it can't use.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cxai.core.layout import NO_BANDS, Layout
from cxai.errors import UsageError
from cxai.resources.options import RowOptions

if TYPE_CHECKING:  # help needs the names alone
    from cxai.core.resource import Resource

RESOURCES: Mapping[str, str] = {
    "cx_ai": "cxai.resources.cx_ai",
}


def open_resource(name: str, options: RowOptions) -> "Resource":
    """Return the resource of that name, which must be one of RESOURCES.

    Raises UsageError if the score ranges can't be used, or the resource has none.
    """
    resource: Resource = _module(name).open_resource(options)
    if options.score_bands is not None and resource.bands_mark == NO_BANDS:
        raise UsageError(f"The resource {name} has no score ranges: leave --score-bands out.")
    return resource


def layout_of(name: str) -> Layout:
    """Return the layout of a resource. Raises UsageError if the resource is unknown."""
    if name not in RESOURCES:
        raise UsageError(
            f"The export holds results of the resource {name}, but this version of cxai-worker only"
            f" supports {', '.join(RESOURCES)}. Use the version that wrote it."
        )
    layout: Layout = _module(name).LAYOUT
    return layout


def all_part_sets() -> frozenset[str]:
    """Return the names of all part sets that any resource writes."""
    return frozenset().union(*(layout_of(name).all_sets for name in RESOURCES))


def _module(name: str) -> Any:
    return import_module(RESOURCES[name])
