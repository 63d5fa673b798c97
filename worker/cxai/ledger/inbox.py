"""The inbox: messages of a queue stay in the ledger until they have a final verdict.

An entry is stored here before its message is acknowledged, and deleted by the commit of its final
verdict, in one transaction each. With a verdict that is not final it stays for the next run, which
processes the inbox before its input, whatever that is.

So inbox and outcomes alone classify an entry that is delivered again, and no other record of them
grows with the length of a run:

    in the inbox, no verdict of this run         in progress: a duplicate
    in the inbox, verdict of this run            a duplicate, but fetched again
    not in the inbox, verdict of this run        a duplicate
    not in the inbox, verdict of an earlier run  settled, or fetched if it is reopened
    neither                                      new: fetched
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
"""The source of entries whose rows were in withdrawn parts."""


class Inbox:
    """The inbox of an export, for one run. Raises DatabaseError."""

    def __init__(self, database: Database, run: int) -> None:
        self.database = database
        self.run = run
        self.replaced = 0  # verdicts of this run that later ones of this run replaced
        self._retaken: set[Key] = set()  # to be replaced; bounded by the backlog
        self._position = 0

    def next_left_over(self) -> Sequence[Entry]:
        """Return the next entries that earlier runs left, in order of arrival; none at the end.

        Call it to the end before anything else is stored.
        """
        rows = self.database.inbox(self._position, _AT_ONCE)
        self._position = max((position for position, _ in rows), default=self._position)
        return [entry for _, entry in rows]

    def retake(self, keys: Collection[Key]) -> None:
        """Note that entries with a verdict of this run are fetched again."""
        self._retaken.update(keys)

    def is_retaken(self, key: Key) -> bool:
        """Whether an entry with a verdict of this run is being fetched again."""
        return key in self._retaken

    def to_replace(self, outcomes: Collection[Outcome]) -> int:
        """Return how many of `outcomes` replace others of this run."""
        return sum(o.entry.key in self._retaken for o in outcomes) if self._retaken else 0

    def note_committed(self, outcomes: Collection[Outcome]) -> None:
        """Note that these have replaced the verdicts before them."""
        if self._retaken:
            self.replaced += self.to_replace(outcomes)
            self._retaken.difference_update(outcome.entry.key for outcome in outcomes)


class _Kind(Enum):
    """What an entry of a queue is to this run."""

    NEW = auto()
    DUPLICATE = auto()
    TO_REPLACE = auto()
    SETTLED = auto()


class QueueAdmissions:
    """Admits the entries of a queue to the inbox, block by block.

    IDs with a verdict in `reopen` are retried, beside those that always are; IDs with a record
    never are. Raises DatabaseError, after which the same block may be admitted again.
    """

    def __init__(self, inbox: Inbox, reopen: Collection[Verdict] = ()) -> None:
        self._inbox = inbox
        self._open = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}

    def expect(self, left_over: Sequence[Entry]) -> None:
        """Note entries that are in progress already: the inbox has them, so nothing is needed."""

    def note_committed(self, outcomes: Collection[Outcome]) -> None:
        """Note that these have a verdict of this run in the database."""
        self._inbox.note_committed(outcomes)

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` are to be fetched now, and count the others.

        When it returns, those to be fetched are in the inbox, and survive power loss.
        """
        fresh: dict[Key, Entry] = {}
        new: list[Entry] = []
        duplicates = 0
        settled: Counter[Verdict] = Counter()
        retaken: dict[Key, Verdict] = {}
        answered: Entry | None = None
        for entry in entries:
            kind, verdict = self._classify(entry.key, fresh)
            match kind, verdict:
                case _Kind.NEW, _:
                    fresh[entry.key] = entry
                    new.append(entry)
                case _Kind.TO_REPLACE, Verdict():
                    fresh[entry.key] = entry
                    retaken[entry.key] = verdict
                    duplicates += 1
                case _Kind.SETTLED, Verdict():
                    settled[verdict] += 1
                    answered = entry if verdict is Verdict.OK else answered
                case _:
                    duplicates += 1
        if new:
            self._inbox.database.put_in_inbox(new)
        self._inbox.retake(retaken)
        return Admission(
            list(fresh.values()), duplicates, settled, answered, Counter(retaken.values())
        )

    def _classify(self, key: Key, fresh: Mapping[Key, Entry]) -> tuple[_Kind, Verdict | None]:
        """Return what an entry is, and its verdict; `fresh` are the entries of its block so far."""
        inbox = self._inbox
        if key in fresh or inbox.is_retaken(key):
            return _Kind.DUPLICATE, None
        settled = inbox.database.outcome(key)
        verdict = None if settled is None else Verdict(settled.verdict)
        is_of_this_run = settled is not None and settled.run == inbox.run
        if inbox.database.is_in_inbox(key):
            return (_Kind.TO_REPLACE if is_of_this_run else _Kind.DUPLICATE), verdict
        if is_of_this_run:
            return _Kind.DUPLICATE, verdict
        if verdict is None or verdict in self._open:
            return _Kind.NEW, verdict
        return _Kind.SETTLED, verdict
