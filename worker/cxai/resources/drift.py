"""Collects the differences of a body from the documentation, within bounds."""

from cxai.core.text import printable
from cxai.policy.reply import NO_DRIFT, Drift

MAX_UNKNOWN = 64  # distinct paths of unknown fields that are named for one body
MAX_KEY_CHARS = 64  # of an unknown key, as shown in its path

_Where = tuple[str, str, str]


class DriftCollector:
    """The distinct paths of unknown fields, up to MAX_UNKNOWN, and of absent ones, in one body.

    A path is `owner`, `path` and `.key` joined. Only the key may come from the body; it is made
    printable. Absent fields need no bound, since the form has few; `absent` counts occurrences.
    """

    def __init__(self) -> None:
        self._unknown: dict[_Where, None] = {}
        self._absent: dict[_Where, None] = {}
        self._more = 0
        self.absent = 0

    def note_absent(self, owner: str, path: str, key: str) -> None:
        """Note that a documented field is absent."""
        self.absent += 1
        self._absent[owner, path, key] = None

    def note_unknown(self, owner: str, path: str, key: str) -> None:
        """Note an undocumented field."""
        where = (owner, path, key)
        if where in self._unknown or len(self._unknown) < MAX_UNKNOWN:
            self._unknown[where] = None
        else:
            self._more += 1

    def drift(self) -> Drift:
        """Return what was noted."""
        if not (self._unknown or self._absent):
            return NO_DRIFT
        return Drift(_shown(self._unknown), _shown(self._absent), self._more)


def _shown(places: dict[_Where, None]) -> tuple[str, ...]:
    paths = (
        f"{owner}{path}.{printable(key, MAX_KEY_CHARS)}".removeprefix(".")
        for owner, path, key in places
    )
    return tuple(dict.fromkeys(paths))
