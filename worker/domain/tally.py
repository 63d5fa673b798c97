"""The accounts of a run: what came in, what became of it, and whether the two agree."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from worker.domain.verdict import ANSWERED, Verdict

_MOST_DRIFT_PATHS = 256
_MOST_REASONS = 64


@dataclass(slots=True)
class Tally:
    """Counts of one run, kept up while it goes.

    `lines` = `ids` + `duplicates` + `blanks` + `comments` + `invalid`, and
    `ids` = those settled before + those settled now + those still open.
    `before` and `now` count by verdict; `now` counts `invalid_id` too, as its lines are listed,
    but those are no IDs. `drift` counts results by the path of a field that the schema lacks,
    `reasons` IDs that ended without a record in this run.
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
    drift: Counter[str] = field(default_factory=Counter)
    reasons: dict[Verdict, Counter[str]] = field(default_factory=dict)

    @property
    def verdicts(self) -> Counter[Verdict]:
        """IDs of this input by verdict, whichever run settled them."""
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
        """IDs of this input that have no verdict yet."""
        return self.ids - self.verdicts.total()

    @property
    def failed(self) -> int:
        """IDs and lines that ended without an answer of the API."""
        return self.invalid + sum(n for v, n in self.verdicts.items() if v not in ANSWERED)

    @property
    def failed_share(self) -> float:
        """`failed` as a share of IDs and invalid lines, 0 for an empty input."""
        asked = self.ids + self.invalid
        return self.failed / asked if asked else 0.0

    @property
    def adds_up(self) -> bool:
        """Whether every line is accounted for."""
        parts = self.ids + self.duplicates + self.blanks + self.comments + self.invalid
        return self.lines == parts and self.open >= 0

    def note_drift(self, paths: tuple[str, ...]) -> None:
        """Count fields that the schema does not know; the number of distinct ones is bounded."""
        for path in paths:
            if path in self.drift or len(self.drift) < _MOST_DRIFT_PATHS:
                self.drift[path] += 1

    def note_reason(self, verdict: Verdict, reason: str, words: str | None = None) -> None:
        """Count why an ID ended without a record, with the API's own words if it had any.

        The number of distinct reasons is bounded. When there are too many, the words are left out.
        Of a line that is no ID the kind of its fault counts, not the character and its position.
        """
        if verdict is Verdict.INVALID_ID:
            reason = reason.partition(":")[0]
        reasons = self.reasons.setdefault(verdict, Counter())
        in_full = f"{reason}: {words}" if words else reason
        if in_full not in reasons and len(reasons) >= _MOST_REASONS // 2:
            in_full = reason
        if in_full in reasons or len(reasons) < _MOST_REASONS:
            reasons[in_full] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the reconciliation as plain values, for JSON."""
        return {
            "lines": self.lines,
            "ids": self.ids,
            "duplicates": self.duplicates,
            "blanks": self.blanks,
            "comments": self.comments,
            "invalid": self.invalid,
            "verdicts": {verdict.value: n for verdict, n in sorted(self.verdicts.items())},
            "settled_before": self.settled_before,
            "settled_now": self.settled_now,
            "open": self.open,
            "failed": self.failed,
            "requests": self.requests,
            "status_requests": self.status_requests,
            "retries": self.retries,
            "throttled": self.throttled,
            "drift": dict(self.drift),
            "reasons": {v.value: dict(counts) for v, counts in self.reasons.items()},
            "adds_up": self.adds_up,
        }
