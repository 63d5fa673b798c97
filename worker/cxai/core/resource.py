"""The port of a resource, in its own file so that reader processes don't import asyncio.

`asyncio`, which the other ports need, would be 11 of the 24 MB of a reader.
"""

from datetime import datetime
from typing import Protocol

from cxai.core.layout import BandsMark, Layout
from cxai.policy.reply import Failure, Record


class Resource(Protocol):
    """One kind of result of an interaction, and the layout of its rows."""

    @property
    def layout(self) -> Layout:
        """Its name, schema version, and the part sets of each shape."""

    @property
    def path(self) -> str:
        """The last segment of its URL, after the ID, such as `ai`."""

    @property
    def bands_mark(self) -> BandsMark:
        """The mark of the configured score ranges, NO_BANDS without any."""

    def read(self, interaction_id: str, body: bytes, at: datetime) -> Record | Failure:
        """Return the lines of the result in `body`, which is decoded; pure.

        Fails with NOT_JSON or NOT_A_RESULT if there is none, never raises, and quotes none of it.
        """
