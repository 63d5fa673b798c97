"""The blocks that a worker has claimed, and which of their IDs have no verdict yet."""

from collections import Counter
from collections.abc import Iterable, Mapping

from cxai.cluster.rows import Claimed
from cxai.core.entry import Entry

Key = bytes | str
"""What makes an entry distinct, as in core/entry.py."""


class Holdings:
    """IDs that are claimed and not settled: at most as many as the pipeline holds."""

    def __init__(self) -> None:
        self._block_of: dict[Key, int] = {}
        self._left: Counter[int] = Counter()
        self._poisoned: dict[Key, int] = {}

    def take(self, claimed: Claimed) -> None:
        """Add the IDs of a block."""
        for entry in claimed.entries:
            self._block_of[entry.key] = claimed.block
            self._left[claimed.block] += 1
            if claimed.poisoned:
                self._poisoned[entry.key] = claimed.losses

    def poisoned_after(self, entry: Entry) -> int | None:
        """Return how many workers were lost with an ID that is given up; None for any other."""
        return self._poisoned.get(entry.key)

    def blocks_of(self, entries: Iterable[Entry]) -> Mapping[int, bool]:
        """Return the blocks of these IDs, and whether each is finished with them."""
        touched = Counter(self._block_of[entry.key] for entry in entries)
        return {block: self._left[block] == ids for block, ids in touched.items()}

    def settle(self, entries: Iterable[Entry]) -> None:
        """Remove IDs that have a verdict now."""
        for entry in entries:
            block = self._block_of.pop(entry.key)
            self._poisoned.pop(entry.key, None)
            self._left[block] -= 1
            if not self._left[block]:
                del self._left[block]
