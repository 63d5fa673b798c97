"""The end of a worker: the reconciliation of the whole export, and what this worker did of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from cxai.core.tally import Tally
from cxai.inspect.report import Report
from cxai.policy.verdict import Verdict


@dataclass(frozen=True)
class SharedReport(Report):
    """How an export stands that workers share, as one of them ended.

    `tally` is that of the export, `own` that of the worker. `place` is where its objects are, `url`
    the export itself.
    """

    own: Tally = field(default_factory=Tally)
    place: str = ""
    url: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            **super().as_dict(),
            "output": self.place,
            "export": self.url,
            "worker": {"completed": self.own.settled_now, "requests": self.own.requests},
        }

    _others: ClassVar[str] = "seen by other workers, or other reasons"

    @property
    def _place(self) -> str:
        return self.place

    @property
    def _failures(self) -> str:
        return f"{self.place}/failures/"

    def _work(self) -> Iterator[str]:
        yield f"  This worker: {self._done_by(self.own).strip()}"

    def _retry_closed(self, verdicts: Sequence[Verdict]) -> str:
        return f"To queue those again: cxai retry {','.join(verdicts)} --in {self.url}"

    def _retry_open(self, verdicts: Sequence[Verdict]) -> str:
        return self._retry_closed(verdicts)
