"""Every resource that can be retrieved, by its name. A new one is one file and one line here."""

from collections.abc import Callable, Mapping

from cxai.core.layout import NO_BANDS
from cxai.core.ports import Resource
from cxai.errors import UsageError
from cxai.resources.options import RowOptions


def _cx_ai(options: RowOptions) -> Resource:
    from cxai.resources.cx_ai.resource import open_cx_ai  # noqa: PLC0415 - only what a run needs

    return open_cx_ai(options)


RESOURCES: Mapping[str, Callable[[RowOptions], Resource]] = {
    "cx_ai": _cx_ai,
}
"""What opens each of them; its modules are not imported before."""


def open_resource(name: str, options: RowOptions) -> Resource:
    """Return the resource of that name, which has to be one of RESOURCES.

    Raises UsageError if score ranges are asked for that can't be used, or that it does not have.
    """
    resource = RESOURCES[name](options)
    if options.score_bands is not None and resource.bands_mark == NO_BANDS:
        raise UsageError(f"The resource {name} has no score ranges: leave --score-bands out.")
    return resource
