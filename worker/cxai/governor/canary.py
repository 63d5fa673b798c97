"""The ID that is asked once more to see whether the API answers: it has been answered before."""

from cxai.core.backlog import Item
from cxai.core.entry import Entry
from cxai.policy.job import Job
from cxai.policy.reply import Endpoint, ParsedReply, Record


class Canary:
    """Remembers one ID and the endpoint that was answered; best of all, one with a result."""

    def __init__(self) -> None:
        self._entry: Entry | None = None
        self._question = Endpoint.RESULT
        self._has_record = False
        self._went_last = False

    @property
    def is_known(self) -> bool:
        """Whether there is one."""
        return self._entry is not None

    def know(self, entry: Entry) -> None:
        """Note an ID whose result an earlier run has, unless there is one already."""
        if self._entry is None:
            self._entry, self._has_record = entry, True

    def note_answer(self, item: Item, seen: ParsedReply) -> None:
        """Note what has just been answered. The latest result is the surest to be still there."""
        if isinstance(seen, Record):
            self._entry, self._question, self._has_record = item.entry, Endpoint.RESULT, True
        elif not self._has_record:
            self._entry, self._question = item.entry, item.asked

    def next(self, *, or_other: bool) -> Item | None:
        """Return the canary to ask, None if there is none; with `or_other` None by turns.

        An outage is probed with an ordinary item as well: a canary's result may be gone by now, or
        come from a cache.
        """
        if self._entry is None or (or_other and self._went_last):
            self._went_last = False
            return None
        self._went_last = True
        return Item(self._entry, Job(endpoint=self._question), is_canary=True)
