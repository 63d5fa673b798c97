"""Admission of the entries of a file: which are to be fetched, duplicates, or settled already.

The IDs in progress (in memory) and the outcomes in the ledger decide it:

    in progress                               duplicate
    verdict of this run                       duplicate
    final verdict of an earlier run           settled; a duplicate the second time
    verdict of an earlier run to be retried   to fetch
    no verdict                                to fetch
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from cxai.core.entry import Entry, Outcome
from cxai.core.ports import Admission
from cxai.ledger.distinct import DistinctKeys
from cxai.ledger.port import Database, Key
from cxai.policy.verdict import OPEN_AGAIN, Verdict

_FILTER_BITS = 1 << 24
"""2 MiB. Of keys that were not added, it reports 6 % as known when it holds a million, and 45 % at
ten million. Each of these costs one search, as every key would without the filter."""


class KeyFilter:
    """A set of keys without false negatives, but with some false positives. It saves searches."""

    def __init__(self) -> None:
        self._bits = bytearray(_FILTER_BITS // 8)

    def add_all(self, keys: Iterable[Key]) -> None:
        """Add keys."""
        bits = self._bits
        for key in keys:
            place = hash(key) % _FILTER_BITS
            bits[place >> 3] |= 1 << (place & 7)

    def may_hold(self, key: Key) -> bool:
        """Whether a key may have been added: always true if it was, rarely if it was not."""
        place = hash(key) % _FILTER_BITS
        return bool(self._bits[place >> 3] >> (place & 7) & 1)


class Admissions:
    """Looks up the entries of one input, block by block, for the run with the number `run`.

    `counted` is an empty set of keys. IDs with a verdict in `reopen` are retried, beside those that
    always are; IDs with a record never are. Raises OSError and DatabaseError, after which the same
    block may be looked up again.
    """

    def __init__(
        self, counted: DistinctKeys, database: Database, run: int, reopen: Collection[Verdict] = ()
    ) -> None:
        self._counted = counted  # settled by earlier runs, and named by this input
        self._database = database
        self._run = run
        self._open = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}
        self._in_progress: set[Key] = set()
        # Saves a first run the search for each ID (0.9 us, not 5); a later one searches anyway.
        self._done = None if database.has_outcomes() else KeyFilter()

    def expect(self, left_over: Sequence[Entry]) -> None:
        """Note entries that are in progress already: in the input they are duplicates."""
        self._in_progress.update(entry.key for entry in left_over)

    def note_committed(self, outcomes: Collection[Outcome]) -> None:
        """Note that these have a verdict of this run in the database."""
        keys = [outcome.entry.key for outcome in outcomes]
        if self._done is not None:
            self._done.add_all(keys)
        self._in_progress.difference_update(keys)

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` are to be fetched now, and count the others."""
        others: dict[Key, Entry] = {}  # the first entry of each key that is not in progress
        for entry in entries:
            if entry.key not in self._in_progress:
                others.setdefault(entry.key, entry)
        sought = others if self._done is None else filter(self._done.may_hold, others)
        settled = self._database.outcomes(list(sought))
        fresh: list[Entry] = []
        final: list[tuple[Entry, Verdict]] = []
        for key, entry in others.items():
            its = settled.get(key)
            if its is None:
                fresh.append(entry)
            elif its.run != self._run:
                verdict = Verdict(its.verdict)
                if verdict in self._open:
                    fresh.append(entry)
                else:
                    final.append((entry, verdict))
        are_new = self._counted.add_all([entry.key for entry, _ in final])
        first = [one for one, is_new in zip(final, are_new, strict=True) if is_new]
        self._in_progress.update(entry.key for entry in fresh)
        counts = Counter(verdict for _, verdict in first)
        duplicates = len(entries) - len(fresh) - len(first)
        answered = [entry for entry, verdict in first if verdict is Verdict.OK]
        return Admission(fresh, duplicates, counts, answered[-1] if answered else None)
