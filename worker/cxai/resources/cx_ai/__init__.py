"""The resource `cx_ai`: the CX AI result of an interaction."""

from cxai.core.resource import Resource
from cxai.resources.cx_ai.layout import LAYOUT as LAYOUT
from cxai.resources.options import RowOptions


def open_resource(options: RowOptions) -> Resource:
    """Return it, with its score ranges. Raises UsageError if these can't be used."""
    from cxai.resources.cx_ai.bands import load_bands  # noqa: PLC0415 - only for a run
    from cxai.resources.cx_ai.resource import CxAi  # noqa: PLC0415

    ranges = options.score_bands
    if ranges is None:
        return CxAi(options.shape, options.run_id)
    bands = load_bands(ranges)
    return CxAi(options.shape, options.run_id, bands, bands.mark(ranges.path.name))
