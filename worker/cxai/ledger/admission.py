"""What is to be done: of the lines of an input, those that no line before and no run has settled.

Two things are asked of each entry: has it stood in this input before (the keys of one input, on
disk), and has an earlier run given it a verdict that stands (the database)?

That is of files, which keep their lines. Of a queue, see inbox.py.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from cxai.core.entry import Entry
from cxai.core.ports import Admission
from cxai.ledger.distinct import DistinctKeys
from cxai.ledger.port import Database, Key
from cxai.policy.verdict import OPEN_AGAIN, Verdict


class Admissions:
    """Looks up the entries of one input, block by block.

    `reopen` are verdicts that are to be asked again, beside those that always are; a record never
    is. Raises DatabaseError, after which the same block may be looked up again.
    """

    def __init__(
        self, keys: DistinctKeys, database: Database, reopen: Collection[Verdict] = ()
    ) -> None:
        self._keys = keys
        self._database = database
        self._open = {None, *OPEN_AGAIN, *reopen} - {Verdict.OK}
        self._has_earlier_runs = database.has_outcomes()

    def expect(self, left_over: Sequence[Entry]) -> None:
        """Note entries that are to be done whatever the input holds: there they are duplicates."""
        self._keys.add_all([entry.key for entry in left_over])

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` are to be done now, and count the others."""
        fresh: list[Entry] = []
        duplicates = 0
        settled: Counter[Verdict] = Counter()
        answered: Entry | None = None
        are_new = self._keys.add_all([entry.key for entry in entries])
        for entry, is_new in zip(entries, are_new, strict=True):
            if not is_new:
                duplicates += 1
                continue
            verdict = self._verdict(entry.key) if self._has_earlier_runs else None
            if verdict is None or verdict in self._open:
                fresh.append(entry)
                continue
            settled[verdict] += 1
            if verdict is Verdict.OK:
                answered = entry
        return Admission(fresh, duplicates, settled, answered)

    def _verdict(self, key: Key) -> Verdict | None:
        settled = self._database.outcome(key)
        return None if settled is None else Verdict(settled.verdict)
