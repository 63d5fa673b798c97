"""The canary: an ID that was answered before, requested again to see whether the API answers."""

from cxai.core.backlog import Item
from cxai.core.entry import Entry
from cxai.policy.reply import Endpoint, ParsedReply, Record
from cxai.policy.step import Job


class Canary:
    """Remembers one ID and the endpoint that was answered, preferably one with a result."""

    def __init__(self) -> None:
        self._entry: Entry | None = None
        self._endpoint = Endpoint.RESULT
        self._has_record = False
        self._went_last = False

    @property
    def is_known(self) -> bool:
        """Whether there is one."""
        return self._entry is not None

    def suggest(self, entry: Entry) -> None:
        """Use an ID whose result an earlier run has, unless there is a canary already."""
        if self._entry is None:
            self._entry, self._has_record = entry, True

    def note_answer(self, item: Item, seen: ParsedReply) -> None:
        """Note an answer. The latest result is the likeliest to be still available."""
        if isinstance(seen, Record):
            self._entry, self._endpoint, self._has_record = item.entry, Endpoint.RESULT, True
        elif not self._has_record:
            self._entry, self._endpoint = item.entry, item.endpoint

    def next(self, *, or_other: bool) -> Item | None:
        """Return the canary's next request, or None; with `or_other`, None every second time.

        An outage is probed with both, since a canary's result may have expired or be cached.
        """
        if self._entry is None or (or_other and self._went_last):
            self._went_last = False
            return None
        self._went_last = True
        return Item(self._entry, Job(endpoint=self._endpoint), is_canary=True)
