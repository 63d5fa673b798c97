"""A filter of keys in front of a search on disk: what it has not taken need not be searched for."""

from collections.abc import Iterable

from cxai.ledger.port import Key

_BITS = 1 << 24
"""2 MiB, however many are taken. With a million it takes 6 % of all other keys for known, with ten
million 45 %. Each of these costs one search, as every key would without the filter."""


class KeyFilter:
    """A set of keys that never denies one it has taken, but may take another one for it."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS // 8)

    def add_all(self, keys: Iterable[Key]) -> None:
        """Take keys."""
        bits = self._bits
        for key in keys:
            place = hash(key) % _BITS
            bits[place >> 3] |= 1 << (place & 7)

    def may_hold(self, key: Key) -> bool:
        """Whether a key may be among those taken: always if it is, rarely if it isn't."""
        place = hash(key) % _BITS
        return bool(self._bits[place >> 3] >> (place & 7) & 1)
