"""Every resource that can be retrieved. A new one is a file and a line in RESOURCES.

Its module has a function `open_resource(options)`, an Opener, and is imported when it is used.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from cxai.core.layout import NO_BANDS
from cxai.core.ports import Resource
from cxai.errors import UsageError
from cxai.resources.options import RowOptions

RESOURCES: Mapping[str, str] = {
    # name: the module that opens it
    "cx_ai": "cxai.resources.cx_ai.resource",
}


class Opener(Protocol):
    """Opens one resource."""

    def __call__(self, options: RowOptions) -> Resource:
        """Return it, with the rows that are asked for. Raises UsageError for what can't be used."""
        ...


def open_resource(name: str, options: RowOptions) -> Resource:
    """Return the resource of that name, which has to be one of RESOURCES.

    Raises UsageError if score ranges are asked for that can't be used, or that it does not have.
    """
    opener: Opener = import_module(RESOURCES[name]).open_resource
    resource = opener(options)
    if options.score_bands is not None and resource.bands_mark == NO_BANDS:
        raise UsageError(f"The resource {name} has no score ranges: leave --score-bands out.")
    return resource
