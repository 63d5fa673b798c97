"""The inbox: what a queue has let go of stays in the ledger until it has a final verdict.

An entry is put there before the queue lets go of it, and leaves with the commit of its final
verdict, in one transaction each. A verdict that is not final leaves it there for the next run,
which takes what it finds in the inbox before it takes anything from its input, whatever that is.

So inbox and outcomes alone say what an entry is that comes again, and nothing has to be kept for it
that would grow as long as a run goes on:

    in the inbox, without a verdict of this run        on its way: a duplicate
    in the inbox, with a verdict of this run           a duplicate, but to be done again
    not there, with a verdict of this run              a duplicate
    not there, with a verdict of an earlier run        settled, or to be done if it is reopened
    neither there nor settled                          to be done
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import Enum, auto

from cxai.core.entry import Entry
from cxai.core.outcome import Outcome
from cxai.core.ports import Admission
from cxai.ledger.port import Database, Key
from cxai.policy.verdict import OPEN_AGAIN, Verdict

_AT_ONCE = 500

REOPENED = "reopened parts"
"""Names, as the source of an entry, where IDs come from whose rows were in withdrawn parts."""


class Inbox:
    """The inbox of an export, as one run works on it. Raises DatabaseError."""

    def __init__(self, database: Database, run: int) -> None:
        self.database = database
        self.run = run
        self.replaced = 0  # verdicts of this run that later ones of this run have replaced
        self._again: set[Key] = set()  # to be replaced: each has its place in the backlog
        self._position = 0

    def next_left_over(self) -> Sequence[Entry]:
        """Return the next entries that earlier runs have left, first what came first; none at last.

        To be called until the end before anything is put there.
        """
        rows = self.database.inbox(self._position, _AT_ONCE)
        self._position = max((position for position, _ in rows), default=self._position)
        return [entry for _, entry in rows]

    def take_again(self, keys: Collection[Key]) -> None:
        """Note that entries with a verdict of this run are to be done again."""
        self._again.update(keys)

    def is_taken_again(self, key: Key) -> bool:
        """Whether an entry with a verdict of this run is on its way again."""
        return key in self._again

    def to_replace(self, outcomes: Collection[Outcome]) -> int:
        """Return how many of `outcomes` take the place of others of this run."""
        return sum(o.entry.key in self._again for o in outcomes) if self._again else 0

    def note_committed(self, outcomes: Collection[Outcome]) -> None:
        """Note that these have taken the place of the verdicts before them."""
        if self._again:
            self.replaced += self.to_replace(outcomes)
            self._again.difference_update(outcome.entry.key for outcome in outcomes)


class _Place(Enum):
    """Where an entry stands that comes from a queue."""

    NEW = auto()
    ON_ITS_WAY = auto()
    TO_REPLACE = auto()
    SETTLED = auto()


class QueueAdmissions:
    """Takes the entries of a queue into the inbox, block by block.

    `reopen` are verdicts of earlier runs that are to be asked again, beside those that always are;
    a record never is. Raises DatabaseError, after which the same block may be taken in again.
    """

    def __init__(self, inbox: Inbox, reopen: Collection[Verdict] = ()) -> None:
        self._inbox = inbox
        self._open = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}

    def expect(self, left_over: Sequence[Entry]) -> None:
        """Note entries that are to be done. They are in the inbox: nothing more is needed."""

    def note_committed(self, outcomes: Collection[Outcome]) -> None:
        """Note that these have a verdict of this run in the database by now."""
        self._inbox.note_committed(outcomes)

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` are to be done now, and count the others.

        When it returns, those to be done are in the inbox, and survive power loss.
        """
        fresh: dict[Key, Entry] = {}
        new: list[Entry] = []
        duplicates = 0
        settled: Counter[Verdict] = Counter()
        retaken: dict[Key, Verdict] = {}
        answered: Entry | None = None
        for entry in entries:
            place, verdict = self._place(entry.key, fresh)
            match place, verdict:
                case _Place.NEW, _:
                    fresh[entry.key] = entry
                    new.append(entry)
                case _Place.TO_REPLACE, Verdict():
                    fresh[entry.key] = entry
                    retaken[entry.key] = verdict
                    duplicates += 1
                case _Place.SETTLED, Verdict():
                    settled[verdict] += 1
                    answered = entry if verdict is Verdict.OK else answered
                case _:
                    duplicates += 1
        if new:
            self._inbox.database.put_in_inbox(new)
        self._inbox.take_again(retaken)
        return Admission(
            list(fresh.values()), duplicates, settled, answered, Counter(retaken.values())
        )

    def _place(self, key: Key, fresh: Mapping[Key, Entry]) -> tuple[_Place, Verdict | None]:
        """Return where an entry stands, and its verdict, behind those of its block that are new."""
        inbox = self._inbox
        if key in fresh or inbox.is_taken_again(key):
            return _Place.ON_ITS_WAY, None
        settled = inbox.database.outcome(key)
        verdict = None if settled is None else Verdict(settled.verdict)
        is_of_this_run = settled is not None and settled.run == inbox.run
        if inbox.database.is_in_inbox(key):
            return (_Place.TO_REPLACE if is_of_this_run else _Place.ON_ITS_WAY), verdict
        if is_of_this_run:
            return _Place.ON_ITS_WAY, verdict
        if verdict is None or verdict in self._open:
            return _Place.NEW, verdict
        return _Place.SETTLED, verdict
