"""The port of what is retrieved, in a file of its own: readers need no event loop.

`asyncio`, which the other ports need, would be 11 of the 24 MB of a reader.
"""

from datetime import datetime
from typing import Protocol

from cxai.core.layout import BandsMark, Layout
from cxai.policy.reply import Failure, Record


class Resource(Protocol):
    """One kind of result that the API has of an interaction, laid out as a run wants it."""

    @property
    def layout(self) -> Layout:
        """Its name, the version of its rows, and the part sets of each shape."""
        ...

    @property
    def path(self) -> str:
        """What follows the ID in its URL, such as `ai`."""
        ...

    @property
    def bands_mark(self) -> BandsMark:
        """What tells the configured score ranges from others, NO_BANDS if it has none."""
        ...

    def read(self, interaction_id: str, body: bytes, at: datetime) -> Record | Failure:
        """Return the lines of the result that `body`, decoded, holds; pure.

        Fails with NOT_JSON or NOT_A_RESULT if it holds none, never raises, and quotes nothing of
        it. The same arguments give the same bytes.
        """
        ...
