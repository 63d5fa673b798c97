"""The counters of a run: what came in, what became of it, and whether the two add up."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cxai.core.backlog import Item
from cxai.core.entry import Entry, IgnoredLine
from cxai.core.ports import Admission
from cxai.policy.reply import Endpoint, ParsedReply, Record, Said, Status
from cxai.policy.verdict import ANSWERED, Verdict

_MOST_DRIFT_PATHS = 256  # of unknown fields, and as many of absent ones
_MOST_REASONS = 64


@dataclass(slots=True)
class Tally:
    """The counters of one run, up to date at any time.

    `lines` = `ids` + `duplicates` + `blanks` + `comments` + `invalid`; `ids` = before + now + open.
    `before` and `now` count by verdict, including `invalid_id`, whose lines are no IDs. `unknown`
    counts results by the path of an undocumented field, `absent` by that of a missing one, and
    `more_drift` those beyond the number of paths that are kept. `reasons` counts IDs that ended
    without a record in this run. `left_over` of the lines are from earlier runs, which had taken
    them from a queue. `retaken` counts verdicts of this run that were not final and whose IDs a
    queue has redelivered: no longer in `now`, but still in `reasons`. `committed` outcomes of this
    run are in the ledger, None while unknown. `unfetched` IDs of reopened parts have no verdict.
    """

    lines: int = 0
    blanks: int = 0
    comments: int = 0
    duplicates: int = 0
    invalid: int = 0
    ids: int = 0
    before: Counter[Verdict] = field(default_factory=Counter)
    now: Counter[Verdict] = field(default_factory=Counter)
    requests: int = 0
    status_requests: int = 0
    retries: int = 0
    throttled: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    absent: Counter[str] = field(default_factory=Counter)
    more_drift: int = 0
    reasons: dict[Verdict, Counter[str]] = field(default_factory=dict)
    left_over: int = 0
    retaken: int = 0
    committed: int | None = None
    unfetched: int = 0

    def count_in(self, items: Sequence[Entry | IgnoredLine], admission: Admission) -> None:
        """Count a block of the input, by what the ledger has of it."""
        settled_invalid = admission.settled.get(Verdict.INVALID_ID, 0)
        fresh_invalid = sum(entry.invalid is not None for entry in admission.fresh)
        retaken = sum(admission.retaken.values())
        distinct = len(admission.fresh) - retaken + sum(admission.settled.values())
        invalid = fresh_invalid + settled_invalid
        self.lines += len(items)
        self.blanks += items.count(IgnoredLine.BLANK)
        self.comments += items.count(IgnoredLine.COMMENT)
        self.duplicates += admission.duplicates
        self.invalid += invalid
        self.ids += distinct - invalid
        self.before.update(admission.settled)
        self.now.subtract(admission.retaken)
        self.retaken += retaken

    @property
    def verdicts(self) -> Counter[Verdict]:
        """IDs of this input by verdict, settled by this or an earlier run."""
        both = self.before + self.now
        del both[Verdict.INVALID_ID]
        return both

    @property
    def settled_before(self) -> int:
        """IDs of this input that earlier runs have settled."""
        return self.before.total() - self.before[Verdict.INVALID_ID]

    @property
    def settled_now(self) -> int:
        """IDs of this input that this run has settled."""
        return self.now.total() - self.now[Verdict.INVALID_ID]

    @property
    def open(self) -> int:
        """IDs of this input without a verdict."""
        return self.ids - self.verdicts.total()

    @property
    def failed_ids(self) -> int:
        """IDs that ended without an answer of the API."""
        return sum(n for v, n in self.verdicts.items() if v not in ANSWERED)

    @property
    def failed(self) -> int:
        """IDs and lines that ended without an answer of the API."""
        return self.invalid + self.failed_ids

    @property
    def failed_share(self) -> float:
        """`failed` as a share of IDs and invalid lines, 0 for an empty input."""
        asked = self.ids + self.invalid
        return self.failed / asked if asked else 0.0

    @property
    def adds_up(self) -> bool:
        """Whether every line is accounted for, and the ledger has what was counted."""
        parts = self.ids + self.duplicates + self.blanks + self.comments + self.invalid
        in_ledger = self.committed in {None, self.now.total() + self.retaken}
        return self.lines == parts and self.open >= 0 and in_ledger

    def count_out(self, item: Item) -> None:
        """Count a request for an item."""
        self.requests += 1
        if item.endpoint is Endpoint.STATUS:
            self.status_requests += 1
        elif item.requests > 1 or item.is_canary:
            self.retries += 1

    def note_drift(self, seen: ParsedReply, before: Said) -> None:
        """Count differences from the documentation.

        An unknown state counts once while it lasts: `before` holds the API's previous words.
        """
        if isinstance(seen, Record):
            self.more_drift += seen.drift.more
            self._note_paths(self.unknown, seen.drift.unknown)
            self._note_paths(self.absent, seen.drift.absent)
        elif isinstance(seen, Status) and not seen.is_known and seen.state != before.state:
            self._note_paths(self.unknown, (f"status: {seen.state}",))

    def _note_paths(self, counts: Counter[str], paths: tuple[str, ...]) -> None:
        for path in paths:
            if path in counts or len(counts) < _MOST_DRIFT_PATHS:
                counts[path] += 1
            else:
                self.more_drift += 1

    @property
    def drift(self) -> dict[str, int]:
        """Results by the path of an unknown field, then of an absent one, marked ` (absent)`."""
        shown = Counter(dict(self.unknown.most_common()))
        shown.update({f"{path} (absent)": times for path, times in self.absent.most_common()})
        return dict(shown)

    def note_reason(self, verdict: Verdict, reason: str, words: str | None = None) -> None:
        """Count why an ID ended without a record, with the API's own message if there is one.

        The number of distinct reasons is bounded; when there are too many, messages are left out.
        """
        reasons = self.reasons.setdefault(verdict, Counter())
        in_full = f"{reason}: {words}" if words else reason
        if in_full not in reasons and len(reasons) >= _MOST_REASONS // 2:
            in_full = reason
        if in_full in reasons or len(reasons) < _MOST_REASONS:
            reasons[in_full] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return all counters as plain values, for JSON."""
        return {
            "lines": self.lines,
            "left_over": self.left_over,
            "ids": self.ids,
            "duplicates": self.duplicates,
            "blanks": self.blanks,
            "comments": self.comments,
            "invalid": self.invalid,
            "verdicts": {verdict.value: n for verdict, n in sorted(self.verdicts.items())},
            "settled_before": self.settled_before,
            "settled_now": self.settled_now,
            "open": self.open,
            "unfetched": self.unfetched,
            "failed": self.failed,
            "requests": self.requests,
            "status_requests": self.status_requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "drift": self.drift,
            "more_drift": self.more_drift,
            "reasons": {v.value: dict(counts) for v, counts in self.reasons.items()},
            "adds_up": self.adds_up,
        }
