"""The inbox: messages of a queue stay in the ledger until they have a final verdict.

An entry is stored before its message is acknowledged, and deleted by the commit of its final
verdict. The inbox and the outcomes classify an entry that is delivered again:

    in the inbox, no verdict of this run         in progress: a duplicate
    in the inbox, verdict of this run            a duplicate, but fetched again
    not in the inbox, verdict of this run        a duplicate
    not in the inbox, verdict of an earlier run  settled, or fetched if it is reopened
    neither                                      new: fetched
"""

from collections import Counter
from collections.abc import Collection, Sequence

from cxai.core.entry import Entry, Outcome
from cxai.core.ports import Admission
from cxai.ledger.port import Database, Key
from cxai.policy.verdict import OPEN_AGAIN, Verdict

_AT_ONCE = 500

REOPENED = "reopened parts"
"""The source of entries whose rows were in withdrawn parts."""


class Inbox:
    """The inbox of an export, for one run, and the admission of a queue's entries to it.

    IDs with a verdict in `reopen` are retried, beside those that always are; IDs with a record
    never are. Raises DatabaseError.
    """

    def __init__(self, database: Database, run: int, reopen: Collection[Verdict] = ()) -> None:
        self._database = database
        self._run = run
        self._open = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}
        self.replaced = 0  # verdicts of this run that later ones of this run replaced
        self._retaken: set[Key] = set()  # to be replaced; bounded by the backlog
        self._position = 0

    def next_left_over(self) -> Sequence[Entry]:
        """Return the next entries that earlier runs left, in order of arrival; none at the end.

        Call it to the end before anything else is stored.
        """
        rows = self._database.inbox(self._position, _AT_ONCE)
        self._position = max((position for position, _ in rows), default=self._position)
        return [entry for _, entry in rows]

    def to_replace(self, outcomes: Collection[Outcome]) -> int:
        """Return how many of `outcomes` replace others of this run."""
        return sum(o.entry.key in self._retaken for o in outcomes) if self._retaken else 0

    def note_committed(self, outcomes: Collection[Outcome]) -> None:
        """Note that these have replaced the verdicts before them."""
        if self._retaken:
            self.replaced += self.to_replace(outcomes)
            self._retaken.difference_update(outcome.entry.key for outcome in outcomes)

    def expect(self, left_over: Sequence[Entry]) -> None:
        """Note entries that are in progress already: the inbox has them, so nothing is needed."""

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` are to be fetched now, and count the others.

        When it returns, those to be fetched are in the inbox, and survive power loss. After a
        DatabaseError the same block may be admitted again.
        """
        fresh: dict[Key, Entry] = {}
        new: list[Entry] = []
        settled: Counter[Verdict] = Counter()
        retaken: dict[Key, Verdict] = {}
        answered: Entry | None = None
        for entry in entries:
            key = entry.key
            if key in fresh or key in self._retaken:
                continue
            outcome = self._database.outcome(key)
            if self._database.is_in_inbox(key):
                if outcome is not None and outcome.run == self._run:
                    fresh[key], retaken[key] = entry, Verdict(outcome.verdict)
            elif outcome is None or outcome.run != self._run:
                verdict = None if outcome is None else Verdict(outcome.verdict)
                if verdict is None or verdict in self._open:
                    fresh[key] = entry
                    new.append(entry)
                else:
                    settled[verdict] += 1
                    answered = entry if verdict is Verdict.OK else answered
        if new:
            self._database.put_in_inbox(new)
        self._retaken.update(retaken)
        duplicates = len(entries) - len(new) - settled.total()
        retried = Counter(retaken.values())
        return Admission(list(fresh.values()), duplicates, settled, answered, retried)
