"""What is to be done: of the lines of an input, those that no line before and no run has settled.

The IDs that are under way (they are in memory, bounded by the backlog) and the ledger's outcomes
say what an entry is, so no input is kept a second time on disk:

    under way                                  a duplicate
    with a verdict of this run                 a duplicate
    with one of an earlier run that stands     settled; a duplicate when it comes again
    with one of an earlier run that is open    to be done
    without a verdict                          to be done

Only the settled IDs that were counted are kept apart, since nothing else tells that they came
before. That is of files, which keep their lines. Of a queue, see inbox.py.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from cxai.core.entry import Entry
from cxai.core.outcome import Outcome
from cxai.core.ports import Admission
from cxai.ledger.distinct import DistinctKeys
from cxai.ledger.key_filter import KeyFilter
from cxai.ledger.port import Database, Key, Settled
from cxai.policy.verdict import OPEN_AGAIN, Verdict


class Admissions:
    """Looks up the entries of one input, block by block, for the run with the number `run`.

    `counted` is an empty set of keys. `reopen` are verdicts that are to be asked again, beside
    those that always are; a record never is. Raises OSError and DatabaseError, after which the same
    block may be looked up again.
    """

    def __init__(
        self,
        counted: DistinctKeys,
        database: Database,
        run: int,
        reopen: Collection[Verdict] = (),
    ) -> None:
        self._counted = counted  # what earlier runs have settled, and this input has named
        self._database = database
        self._run = run
        self._open = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}
        self._has_earlier_runs = database.has_outcomes()
        self._under_way: set[Key] = set()
        # Spares a first run the search for each ID: 0.9 us in place of 5.
        self._done = KeyFilter()

    def expect(self, left_over: Sequence[Entry]) -> None:
        """Note entries that are to be done whatever the input holds: there they are duplicates."""
        self._under_way.update(entry.key for entry in left_over)

    def note_committed(self, outcomes: Collection[Outcome]) -> None:
        """Note that these have a verdict of this run in the database by now."""
        keys = [outcome.entry.key for outcome in outcomes]
        self._done.add_all(keys)
        self._under_way.difference_update(keys)

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` are to be done now, and count the others."""
        others: dict[Key, Entry] = {}  # the first entry of each key that is not under way
        for entry in entries:
            if entry.key not in self._under_way:
                others.setdefault(entry.key, entry)
        settled = self._settled(others)
        fresh: list[Entry] = []
        standing: list[tuple[Entry, Verdict]] = []
        for key, entry in others.items():
            its = settled.get(key)
            if its is None:
                fresh.append(entry)
            elif its.run != self._run:
                verdict = Verdict(its.verdict)
                if verdict in self._open:
                    fresh.append(entry)
                else:
                    standing.append((entry, verdict))
        named_first = self._not_counted(standing)
        self._under_way.update(entry.key for entry in fresh)
        counts = Counter(verdict for _, verdict in named_first)
        duplicates = len(entries) - len(fresh) - len(named_first)
        answered = [entry for entry, verdict in named_first if verdict is Verdict.OK]
        return Admission(fresh, duplicates, counts, answered[-1] if answered else None)

    def _settled(self, keys: Collection[Key]) -> Mapping[Key, Settled]:
        if not self._has_earlier_runs:
            keys = list(filter(self._done.may_hold, keys))
        return self._database.outcomes(list(keys)) if keys else {}

    def _not_counted(
        self, standing: Sequence[tuple[Entry, Verdict]]
    ) -> Sequence[tuple[Entry, Verdict]]:
        """Return those that this input names for the first time."""
        are_new = self._counted.add_all([entry.key for entry, _ in standing])
        return [one for one, is_new in zip(standing, are_new, strict=True) if is_new]
